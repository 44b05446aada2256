"""The parts of the fleet script: places, certificates, layers, hosts, observation."""
