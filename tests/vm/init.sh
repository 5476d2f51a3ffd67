#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154 # ckpt_* come from the kernel command line
# The first process of a guest of vm.py: brings up the host's root under a tmpfs and the RDMA
# devices, runs the command, leaves its output and exit status in the exchange folder.
PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

for word in $(cat /proc/cmdline); do
    case $word in ckpt_*=*) eval "$word" ;; esac
done
while read -r name; do
    insmod "/modules/$name.ko" || echo "vm: no module $name"
done </modules/order

mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 root /lower
mount -t tmpfs -o mode=755 upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /root
mount --move /dev /root/dev
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mkdir -p /root/dev/shm /root/dev/pts /root/exchange
mount -t tmpfs shm /root/dev/shm
mount -t tmpfs run /root/run
mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 exchange /root/exchange

# The tools of the host from here on: busybox knows less, and takes its own where a name is bare.
host() { chroot /root /bin/sh -c 'exec "$@"' sh "$@"; }
# An address of IPv4 or IPv6 in the network $1, of two bytes; there is nobody else to ask for it.
address() {
    case $ckpt_family in
    4) host ip addr add "10.$1.$ckpt_guest/24" dev "$2" ;;
    6) host ip addr add "fd00:$(echo "$1" | tr . :)::$ckpt_guest/64" dev "$2" nodad ;;
    esac
}
host ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/all/keep_addr_on_down
rail=0
while [ "$rail" -lt "$ckpt_rails" ]; do
    if [ "$ckpt_guests" -eq 1 ]; then
        host ip link add "v$rail" type veth peer name "w$rail"
        host ip link set "w$rail" mtu "$ckpt_mtu" up
    else
        host ip link set "eth$rail" name "v$rail"
    fi
    host ip link set "v$rail" mtu "$ckpt_mtu" up
    address "77.$rail" "v$rail"
    host rdma link add "rxe$rail" type rxe netdev "v$rail"
    rail=$((rail + 1))
done
if [ "$ckpt_guests" -eq 2 ]; then
    host ip link set "eth$rail" name m0
    host ip link set m0 mtu "$ckpt_mtu" up
    address 78.0 m0
fi

export CKPT_VM_GUEST="$ckpt_guest" CKPT_VM_GUESTS="$ckpt_guests" CKPT_VM_FAMILY="$ckpt_family"
export CKPT_VM_EXCHANGE=/exchange
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
chroot /root /bin/sh -c '. /exchange/.command </dev/null' \
    >"/root/exchange/.output.$ckpt_guest" 2>&1
echo $? >"/root/exchange/.status.$ckpt_guest.new"
mv "/root/exchange/.status.$ckpt_guest.new" "/root/exchange/.status.$ckpt_guest"
# The host ends this guest once every guest has its status: until then the others may need it.
while :; do
    /bin/sleep 3600
done
