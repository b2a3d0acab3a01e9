"""bench.counting: how far are our token counts from what providers reported, before and after calibration?"""
