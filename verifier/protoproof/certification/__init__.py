"""The order of stages for one region of inputs."""
