// Early stopping of the runs of a sweep, by their evaluations beside each other.
import { LARGER_IS_BETTER, type Metric } from "../../trainer/index.js";

export const STOPPING_RULES = ["none", "successive_halving", "median"] as const;

export interface Rule {
  kind: (typeof STOPPING_RULES)[number];
  /** Of successive halving: of this number of runs one goes on. */
  factor: number;
  /** Evaluations of each run before any is stopped. */
  grace: number;
}

interface Member {
  /** The metric of each evaluation, smaller is better. */
  costs: number[];
  state: "running" | "over" | "stopped";
}

/** An evaluation that waits for the others'. */
interface Waiting {
  member: Member;
  evaluation: number;
  goOn: (goesOn: boolean) => void;
}

const best = (costs: readonly number[]) => Math.min(...costs);
const mean = (costs: readonly number[]) => costs.reduce((sum, cost) => sum + cost, 0) / costs.length;

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Decides which runs go on after an evaluation that all of them have reached, so that the decisions depend on nothing but the metrics.
 *
 * Successive halving (Jamieson and Talwalkar, 2016): after `grace`, `grace` * `factor`, ... evaluations the best of the runs go on, one of
 * `factor`, rounded up. Median (Golovin et al., 2017): a run ends whose best evaluation is worse than the median of the others' means so
 * far.
 */
export class Judge {
  readonly #rule: Rule;
  readonly #sign: 1 | -1;
  readonly #members: Member[];
  /** Evaluations after which it was decided. */
  #decided = 0;
  #waiting: Waiting[] = [];

  /** @param begun metrics of the evaluations that each run has had before */
  constructor(rule: Rule, metric: Metric, begun: readonly (readonly number[])[]) {
    this.#rule = rule;
    this.#sign = LARGER_IS_BETTER.includes(metric) ? -1 : 1;
    this.#members = begun.map((values) => ({ costs: values.map((value) => this.#sign * value), state: "running" }));
    this.#decide();
  }

  /** Whether a run was stopped. */
  isStopped(run: number): boolean {
    return this.#members[run]!.state === "stopped";
  }

  /** The metric of a run's next evaluation. @returns whether it goes on, once that is known */
  note(run: number, metric: number): Promise<boolean> {
    this.#members[run]!.costs.push(this.#sign * metric);
    return this.goesOn(run);
  }

  /** Whether a run goes on after the last of its evaluations, once that is known. */
  goesOn(run: number): Promise<boolean> {
    const member = this.#members[run]!;
    return new Promise((goOn) => {
      this.#waiting.push({ member, evaluation: member.costs.length, goOn });
      this.#decide();
    });
  }

  /** The run is over: the others do not wait for it. */
  leave(run: number): void {
    const member = this.#members[run]!;
    if (member.state === "running") member.state = "over";
    this.#decide();
  }

  /** Nothing is decided any more, and all go on. */
  end(): void {
    for (const { goOn } of this.#waiting.splice(0)) goOn(true);
    for (const member of this.#members) if (member.state === "running") member.state = "over";
  }

  #decide(): void {
    for (;;) {
      const running = this.#members.filter(({ state }) => state === "running");
      const evaluation = this.#decided + 1;
      if (running.length === 0 || running.some(({ costs }) => costs.length < evaluation)) break;
      for (const member of this.#hopeless(running, evaluation)) member.state = "stopped";
      this.#decided = evaluation;
    }
    const isKnown = ({ member, evaluation }: Waiting) => member.state !== "running" || evaluation <= this.#decided;
    const known = this.#waiting.filter(isKnown);
    this.#waiting = this.#waiting.filter((each) => !isKnown(each));
    for (const { member, goOn } of known) goOn(member.state !== "stopped");
  }

  #hopeless(running: readonly Member[], evaluation: number): Member[] {
    const { kind, factor, grace } = this.#rule;
    if (evaluation < grace) return [];
    if (kind === "successive_halving") {
      if (!isPower(evaluation / grace, factor)) return [];
      const kept = Math.ceil(running.length / factor);
      const at = (member: Member) => best(member.costs.slice(0, evaluation));
      return [...running].sort((a, b) => at(a) - at(b)).slice(kept);
    }
    if (kind === "median") {
      return running.filter((member) => {
        const others = running.filter((other) => other !== member);
        const means = others.map(({ costs }) => mean(costs.slice(0, evaluation)));
        return means.length > 0 && best(member.costs.slice(0, evaluation)) > median(means);
      });
    }
    return [];
  }
}

/** Whether a number is 1, factor, factor^2, ... */
function isPower(number: number, factor: number): boolean {
  let power = 1;
  while (power < number) power *= factor;
  return power === number;
}
