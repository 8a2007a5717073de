// Names and output while a template is rendered.
import type { Undefined, Value } from "./values.js";

export class Output {
  text = "";
}

/** One rendering. */
export interface Run {
  root: Output;
  /** Spans of `{% generation %}`, with the text of each. */
  spans: { start: number; text: string }[];
  now: Date;
  /** Line of the statement that is executed. */
  line: number;
}

export class Scope {
  readonly values = new Map<string, Value>();
  constructor(
    readonly run: Run,
    readonly parent?: Scope,
  ) {}

  get(name: string): Value | undefined {
    let scope: Scope | undefined = this;
    while (scope !== undefined) {
      const value = scope.values.get(name);
      if (value !== undefined) return value;
      scope = scope.parent;
    }
    return undefined;
  }

  inner(): Scope {
    return new Scope(this.run, this);
  }
}

export type Expression = (scope: Scope) => Value;
/** How a statement ends, where a loop has to know. */
export type Signal = "break" | "continue" | undefined;
export type Statement = (scope: Scope, out: Output) => Signal;
export type { Undefined };
