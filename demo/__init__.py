"""The demonstration: a real nginx, real requests over loopback, and the real main job."""
