# SPDX-License-Identifier: Apache-2.0
ckpt_room(slurm SOURCES hostlist.c topology.c job.c LINKS ckpt_base ckpt_wire)
