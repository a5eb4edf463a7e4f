for python in python3 python; do
	if command -v "$python" >/dev/null 2>&1; then exec "$python" -S -c "$@"; fi
done
text="$0: NO PYTHON"
echo "$text" >&2
echo "$text" >"$2"
exit 44
