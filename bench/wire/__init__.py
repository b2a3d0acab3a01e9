"""bench.wire: does the providers service read what providers really send?"""
