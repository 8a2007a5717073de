// Child process of benchmarks: runs the command line in this process, and prints its peak of resident memory in KiB and its processor time in s.
import { readFileSync } from "node:fs";
import { main } from "../../dist/cli/run.js";

process.exitCode = await main(process.argv.slice(2));
console.log(`peak ${/^VmHWM:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))[1]}`);
const { user, system } = process.cpuUsage();
console.log(`cpu ${(user + system) / 1e6}`);
