// Child process of bench-memory: runs the command line in this process and prints its peak of resident memory in KiB.
import { readFileSync } from "node:fs";
import { main } from "../../dist/cli/run.js";

process.exitCode = await main(process.argv.slice(2));
console.log(`peak ${/^VmHWM:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))[1]}`);
