#!/bin/bash
# A study on the nodes of a Slurm job, with Ray. Untried on a real cluster; what was checked is in
# docs/how-to/ray.md.
#
#   sbatch examples/slurm-ray.sh examples/first-study.yaml
#
# Needs `pip install "sequela[ray]"` in an environment that all nodes see, and Ray from 2.52 on. Before the first
# job, `ray get-auth-token --generate` makes the token without which nobody can use your cluster. If the time limit
# ends the job, submit it again: the run goes on where it stopped.
#SBATCH --job-name=sequela
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive      # `ray symmetric-run` ends all of your Ray processes on its nodes
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=0
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120

set -euo pipefail

study=${1:?"usage: sbatch slurm-ray.sh STUDY"}
gpus_per_node=0      # as in --gpus-per-node above
workers_per_node=1   # one for each GPU, or one for each 16 cores

# A folder that all nodes see. Each worker checks at its start that it is the same one.
export SEQUELA_STORE="${SEQUELA_STORE:-$HOME/sequela/store}"
export SEQUELA_CACHE="${SEQUELA_CACHE:-$HOME/sequela/cache}"
export RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_MODE=token

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# Jobs that share a node must not share a port.
address="$(getent ahostsv4 "$head" | awk 'NR == 1 { print $1 }'):$((20000 + SLURM_JOB_ID % 20000))"

# Starts Ray on every node, runs the command on the first one, and ends Ray.
srun --ntasks="$SLURM_JOB_NUM_NODES" \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" --num-gpus "$gpus_per_node" -- \
    sequela run "$study" --executor ray --address "$address" \
    --workers $((SLURM_JOB_NUM_NODES * workers_per_node)) \
    --cpus $((SLURM_CPUS_PER_TASK / workers_per_node))
