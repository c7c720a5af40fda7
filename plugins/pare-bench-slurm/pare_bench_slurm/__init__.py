"""Runs of pare-bench as jobs of a Slurm cluster: the executor ``slurm``, through submitit."""
