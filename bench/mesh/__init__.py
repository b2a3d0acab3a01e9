"""python -m bench.mesh: how fast is it, beside a bare echo, and beside other gateways?"""
