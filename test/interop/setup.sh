#!/bin/sh
# setup.sh makes the foreign programs of packages.txt ready for `make interop`, and what testdata/nodemailer names of npm.
#
# What is installed already is used as it is. The rest is downloaded and unpacked, never installed: Debian's mail servers
# conflict with each other, and a machine's own mail server must not be replaced for a test. So no service is started,
# no account is made, and nothing outside the cache directory is written. The tests lay the unpacked tree over /usr in a
# mount namespace of their own.
#
# It may be run again at any time. A fresh machine needs `apt-get update` first.
set -eu
umask 022

here=$(cd "$(dirname "$0")" && pwd)
cache=${STERNPOST_INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sternpost-interop}
export LC_ALL=C

# missing prints package=version for a package that is not installed, and for what it needs. Each package is asked for
# alone, because together they conflict.
missing() {
	apt-get install --simulate --no-install-recommends "$1" |
		sed -n 's/^Inst \([^ ]*\) \(\[[^]]*\] \)\{0,1\}(\([^ ]*\) .*/\1=\3/p'
}

if ! command -v apt-get >/dev/null; then
	echo "setup.sh: no apt-get here; the tests need the Debian packages of $here/packages.txt" >&2
	exit 1
fi

# nodemailer and standardwebhooks are no packages of Debian's. npm takes what the lock file says, with its checksum, and runs no scripts of it.
library=$here/testdata/nodemailer
if ! cmp -s "$library/package-lock.json" "$cache/npm/package-lock.json"; then
	if ! command -v npm >/dev/null; then
		echo "setup.sh: no npm here; the tests need nodemailer and standardwebhooks of npm (Debian: npm)" >&2
		exit 1
	fi
	rm -rf "$cache/npm" "$cache/npm.unfinished"
	mkdir -p "$cache/npm.unfinished"
	cp "$library/package.json" "$library/package-lock.json" "$cache/npm.unfinished"
	(cd "$cache/npm.unfinished" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	mv "$cache/npm.unfinished" "$cache/npm"
fi

# Asking apt takes seconds, so it is asked again only when the list, this script or what is installed has changed.
asked=$(
	cat "$here/packages.txt" "$0"
	sed '/^#/d' "$here/packages.txt" | xargs dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null || true
)
if [ "$asked" = "$(cat "$cache/tree/asked" 2>/dev/null)" ]; then
	exit 0
fi

mkdir -p "$cache/deb"
wanted=$cache/wanted.$$
trap 'rm -rf "$wanted" "$wanted.sorted" "$cache/tree.$$"' EXIT
: >"$wanted"
for package in $(sed '/^#/d' "$here/packages.txt"); do
	if dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
		continue
	fi
	if ! missing "$package" >>"$wanted" || ! grep -q "^$package=" "$wanted"; then
		echo "setup.sh: apt-get cannot find the package $package; run: apt-get update" >&2
		exit 1
	fi
done
sort -u "$wanted" >"$wanted.sorted"

# A merged /usr: packages that still ship files in /lib must unpack into usr/lib, since only usr is laid over.
mkdir -p "$cache/tree.$$/usr"
for directory in bin sbin lib lib64; do
	mkdir -p "$cache/tree.$$/usr/$directory"
	ln -s "usr/$directory" "$cache/tree.$$/$directory"
done
while read -r package; do
	(cd "$cache/deb" && apt-get -q -q -o APT::Sandbox::User=root download "$package")
	name=${package%%=*}
	version=$(printf %s "${package#*=}" | sed 's/:/%3a/')
	dpkg-deb --fsys-tarfile "$cache/deb/${name}_${version}_"*.deb |
		tar -x -f - -C "$cache/tree.$$" --keep-directory-symlink --no-same-owner
done <"$wanted.sorted"
# Nothing in a cache directory needs another's privileges.
chmod -R ug-s "$cache/tree.$$"
cp "$wanted.sorted" "$cache/tree.$$/packages"
printf '%s\n' "$asked" >"$cache/tree.$$/asked"
rm -rf "$cache/tree"
mv "$cache/tree.$$" "$cache/tree"
echo "setup.sh: unpacked in $cache/tree:"
sed 's/^/	/' "$cache/tree/packages"
