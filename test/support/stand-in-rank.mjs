// A rank without an engine: tells the launcher that it is there and has met the others, and does what STAND_IN says by rank ("1:kill").
// On a request to stop it says so and ends with 0, as a rank that has saved.
import { hostname } from "node:os";

const rank = Number(process.env.OMPI_COMM_WORLD_RANK);
const tell = (record) =>
  process.stderr.write(`\x1e${JSON.stringify({ rank, host: hostname(), pid: process.pid, ...record })}\n`);
process.on("SIGUSR2", () => {
  process.stdout.write(`rank ${rank} saved\n`);
  process.exit(0);
});
process.on("SIGTERM", () => process.exit(143));
process.stdout.write(`rank ${rank} ${process.argv.slice(2).join(" ")}\n`);
tell({ what: "ready" });
tell({ what: "joined" });
const [at, what] = (process.env.STAND_IN ?? "").split(":");
const mine = Number(at) === rank;
setTimeout(
  () => {
    if (mine && what === "kill") process.kill(process.pid, "SIGKILL");
    if (mine && what === "error") {
      tell({ what: "error", error: { code: "E_FILE", message: "no such file" } });
      process.exit(1);
    }
    if (mine && what === "exit") process.exit(7);
    if (what === "end") process.exit(0);
  },
  mine ? 100 : 0,
);
setTimeout(() => process.exit(9), 30_000);
