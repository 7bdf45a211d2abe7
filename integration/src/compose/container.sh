# Makes of a shell in namespaces of its own what a container engine makes of a container, and then the program.
#
# Usage: container.sh HOSTNAME ETC [PROGRAM FILE-CAPABILITIES] -- COMMAND...
# ETC/upper lies over /etc. PROGRAM becomes the only file of /usr/local/bin, owned by root, with these capabilities.
set -eu
# The network interface is put in from outside: a line on standard input says that it is there.
read -r _
exec </dev/null
hostname "$1"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$2/upper,workdir=$2/work" /etc
shift 2
if [ "$1" != -- ]; then
  # Of its own also because /tmp may be mounted nosuid, where the kernel ignores capabilities of files.
  mount -t tmpfs -o mode=755 tmpfs /usr/local/bin
  install -m 755 "$1" "/usr/local/bin/$(basename "$1")"
  setcap "$2" "/usr/local/bin/$(basename "$1")"
  shift 2
fi
shift
exec "$@"
