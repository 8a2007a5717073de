#!/bin/sh
":" //; # The command `lowrank`, for sh and for JavaScript alike: sh runs the lines that JavaScript takes for comments.
":" //; # Node.js gives SIGHUP its default back when it starts. sh sees before whether its caller ignored it, as nohup does.
":" //; export LOWRANK_SIGHUP=default
":" //; [ -r /proc/$$/status ] && while read -r key mask; do case "$key$mask" in SigIgn:*[13579bdf]) LOWRANK_SIGHUP=ignored ;; esac; done </proc/$$/status
":" //; exec node "$0" "$@"
import "../../dist/cli/main.js";
