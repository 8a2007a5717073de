// Runs the built command again and again in one process, as requests on the standard input say; answers are lines of JSON.
import { openSync, readSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";

const { main } = await import("../../dist/cli/run.js");
const control = openSync(process.env.FAULT_CONTROL, "r+");
const calls = () => {
  const words = new BigInt64Array(4);
  readSync(control, new Uint8Array(words.buffer), 0, 32, 0);
  return Number(words[3]);
};
const arm = ({ at, errno, forGood }) =>
  writeSync(control, new Uint8Array(BigInt64Array.of(BigInt(at), BigInt(errno), BigInt(forGood), 0n).buffer), 0, 32, 0);

const answer = process.stdout.write.bind(process.stdout);
let printed = "";
for (const stream of [process.stdout, process.stderr]) {
  // Each run adds a listener: a process of one run has one.
  stream.setMaxListeners(0);
  stream.write = (text) => {
    printed += text;
    return true;
  };
}
for await (const line of createInterface({ input: process.stdin })) {
  const { args, fault } = JSON.parse(line);
  printed = "";
  arm(fault);
  const code = await main(args);
  const made = calls();
  arm({ at: 0, errno: 0, forGood: 0 });
  answer(`${JSON.stringify({ code, printed, calls: made })}\n`);
}
