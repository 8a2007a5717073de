// The load of this machine and process, under wandb's names.
import { availableParallelism, cpus, freemem, totalmem } from "node:os";

const MB = 2 ** 20;

/** Busy and all time of the processors since they were started. */
function times(): { busy: number; all: number } {
  let [busy, all] = [0, 0];
  for (const { times } of cpus()) {
    const sum = times.user + times.nice + times.sys + times.idle + times.irq;
    all += sum;
    busy += sum - times.idle;
  }
  return { busy, all };
}

export class SystemMetrics {
  #machine = times();
  #process = process.cpuUsage();
  #at = performance.now();

  /** Of the time since the last call. */
  read(): Record<string, number> {
    const [machine, now] = [times(), performance.now()];
    const { user, system } = process.cpuUsage(this.#process);
    const all = machine.all - this.#machine.all;
    const elapsed = 1000 * (now - this.#at);
    const { rss } = process.memoryUsage();
    const numbers = {
      cpu: all > 0 ? (100 * (machine.busy - this.#machine.busy)) / all : 0,
      "proc.cpu": elapsed > 0 ? (100 * (user + system)) / elapsed / availableParallelism() : 0,
      memory_percent: 100 * (1 - freemem() / totalmem()),
      "proc.memory.rssMB": rss / MB,
      "proc.memory.percent": (100 * rss) / totalmem(),
      "proc.memory.availableMB": freemem() / MB,
    };
    this.#machine = machine;
    this.#process = process.cpuUsage();
    this.#at = now;
    return numbers;
  }
}
