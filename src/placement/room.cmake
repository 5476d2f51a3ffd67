# SPDX-License-Identifier: Apache-2.0
ckpt_room(placement SOURCES placement.c)
