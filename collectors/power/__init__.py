"""Power of the devices of this host: sources, the rounds that read them, and the process that runs beside the agent.

A source knows one interface (NVML, amdsmi, powercap) and gives devices; `rounds.py` reads those in turn in a
thread; `sampler.py` watches the threads and sees to it that one device that fails or hangs stops no other.
"""
