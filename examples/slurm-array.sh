#!/bin/bash
# The methods of a study as a Slurm job array, without Ray: every job is one more worker of the same run.
# Untried on a real cluster; what was checked is in docs/how-to/ray.md.
#
#   sbatch --array=0-2 examples/slurm-array.sh examples/first-study.yaml
#
# Jobs may begin and end at any time, and a job that was cut is submitted again. They share a run and a store.
#SBATCH --job-name=sequela
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120

set -euo pipefail

study=${1:?"usage: sbatch --array=0-2 slurm-array.sh STUDY"}
editors=(rome memit ft-m)   # those of the study, one for each job

# A folder that all nodes see.
export SEQUELA_STORE="${SEQUELA_STORE:-$HOME/sequela/store}"
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"

srun sequela run "$study" --editor "${editors[$SLURM_ARRAY_TASK_ID]}" --join
