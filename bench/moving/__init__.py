# SPDX-License-Identifier: Apache-2.0
"""Contenders of bench/peers.py: each moves the same bytes from one process to another."""
