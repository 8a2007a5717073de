// A template's statements, parsed into functions.
import { call, ExpressionParser } from "./expressions.js";
import { unpack } from "./operators.js";
import { type Expression, Output, type Scope, type Signal, type Statement } from "./scope.js";
import {
  type Arguments,
  Callable,
  equal,
  fail,
  iterate,
  Namespace,
  str,
  Tuple,
  truthy,
  Undefined,
  type Value,
} from "./values.js";

type Assign = (scope: Scope, value: Value) => void;

export class StatementParser extends ExpressionParser {
  /** Loops around the statement, within its macro. */
  #loops = 0;

  template(): Statement {
    const body = this.#body();
    if (!this.is("end")) this.refuse(`unexpected tag ${this.token.text}`);
    return body;
  }

  /** Statements up to a tag of these names, whose name is then the current token. */
  #body(...ends: string[]): Statement {
    const statements: Statement[] = [];
    for (;;) {
      const { token } = this;
      if (token.kind === "end") {
        if (ends.length > 0) this.refuse(`missing ${ends.join(" or ")}`);
        break;
      }
      this.at++;
      if (token.kind === "data") {
        const { text } = token;
        statements.push((_, out) => {
          out.text += text;
          return undefined;
        });
      } else if (token.kind === "variable") {
        const value = this.tuple();
        this.take("endvariable");
        statements.push(at(token.line, printed(value)));
      } else {
        if (ends.includes(this.token.text)) break;
        statements.push(at(token.line, this.#statement()));
      }
    }
    return sequence(statements);
  }

  /** A body that a tag of this name ends. */
  #closedBy(end: string): Statement {
    const body = this.#body(end);
    this.#close();
    return body;
  }

  /** The closing of a tag of one word, which is the current token. */
  #close(): void {
    this.take("name");
    this.take("endblock");
  }

  #statement(): Statement {
    const name = this.take("name").text;
    switch (name) {
      case "if":
        return this.#if();
      case "for":
        return this.#for();
      case "set":
        return this.#set();
      case "macro":
        return this.#macro();
      case "generation":
        return this.#generation();
      case "call":
        return this.#callBlock();
      case "filter":
        return this.#filterBlock();
      case "with":
        return this.#with();
      case "print": {
        const value = this.tuple();
        this.take("endblock");
        return printed(value);
      }
      case "break":
      case "continue":
        if (this.#loops === 0) this.refuse(`'${name}' outside of a loop`);
        this.take("endblock");
        return () => name;
      default:
        return this.refuse(`the tag '${name}' is not known`);
    }
  }

  #if(): Statement {
    const branches: [Expression, Statement][] = [];
    let otherwise: Statement = () => undefined;
    for (let open = true; open; ) {
      const test = this.tuple(false);
      this.take("endblock");
      branches.push([test, this.#body("elif", "else", "endif")]);
      open = this.skip("name", "elif");
    }
    if (this.is("name", "else")) {
      this.#close();
      otherwise = this.#body("endif");
    }
    this.#close();
    return (scope, out) => {
      for (const [test, body] of branches) if (truthy(test(scope))) return body(scope, out);
      return otherwise(scope, out);
    };
  }

  /** A name, `namespace.name` or several names. */
  #target(): Assign {
    const targets: Assign[] = [];
    let isTuple = false;
    const parenthesised = this.skip("operator", "(");
    do {
      if (targets.length > 0) isTuple = true;
      if (!this.is("name") || this.is("name", "in")) break;
      targets.push(this.#oneTarget());
    } while (this.skip("operator", ","));
    if (parenthesised) this.take("operator", ")");
    if (!isTuple) return targets[0] ?? this.refuse("a name is expected");
    return (scope, value) => {
      const items = unpack(value, targets.length);
      targets.forEach((target, i) => {
        target(scope, items[i]!);
      });
    };
  }

  #oneTarget(): Assign {
    const name = this.take("name").text;
    if (!this.skip("operator", "."))
      return (scope, value) => {
        scope.values.set(name, value);
      };
    const key = this.take("name").text;
    return (scope, value) => {
      const holder = scope.get(name);
      if (!(holder instanceof Namespace)) return fail("cannot assign attribute on non-namespace object");
      if (key.startsWith("_")) fail("a namespace holds no names that begin with an underscore");
      holder.values.set(key, value);
    };
  }

  #set(): Statement {
    const target = this.#target();
    if (this.skip("operator", "=")) {
      const value = this.tuple();
      this.take("endblock");
      return (scope) => {
        target(scope, value(scope));
        return undefined;
      };
    }
    let text: Expression = (scope) => scope.values.get("")!;
    while (this.skip("operator", "|")) text = this.filter(text);
    this.take("endblock");
    const body = this.#closedBy("endset");
    return (scope) => {
      target(scope, filtered(scope, body, text));
      return undefined;
    };
  }

  #filterBlock(): Statement {
    let text: Expression = (scope) => scope.values.get("")!;
    do text = this.filter(text);
    while (this.skip("operator", "|"));
    this.take("endblock");
    const body = this.#closedBy("endfilter");
    return (scope, out) => {
      out.text += str(filtered(scope, body, text));
      return undefined;
    };
  }

  #with(): Statement {
    const sets: [Assign, Expression][] = [];
    while (!this.is("endblock")) {
      if (sets.length > 0) this.take("operator", ",");
      const target = this.#target();
      this.take("operator", "=");
      sets.push([target, this.expression()]);
    }
    this.take("endblock");
    const body = this.#closedBy("endwith");
    return (scope, out) => {
      const inner = scope.inner();
      for (const [target, value] of sets) target(inner, value(scope));
      return body(inner, out);
    };
  }

  #for(): Statement {
    const target = this.#target();
    this.take("name", "in");
    const items = this.tuple(false, "recursive");
    const test = this.skip("name", "if") ? this.expression() : undefined;
    const recursive = this.skip("name", "recursive");
    this.take("endblock");
    this.#loops++;
    const body = this.#body("else", "endfor");
    this.#loops--;
    let otherwise: Statement | undefined;
    if (this.is("name", "else")) {
      this.#close();
      otherwise = this.#body("endfor");
    }
    this.#close();

    const run = (scope: Scope, out: Output, value: Value, depth: number): Signal => {
      let list = iterate(value);
      if (test !== undefined)
        list = list.filter((one) => {
          const inner = scope.inner();
          target(inner, one);
          return truthy(test(inner));
        });
      const loop = new Loop(list, depth);
      const again = recursive
        ? ({ positional }: Arguments) => {
            const written = new Output();
            run(scope, written, positional[0] ?? null, depth + 1);
            return written.text;
          }
        : () => fail("the loop must be marked recursive to be called");
      const shown = new Callable("loop", again, (name) => loop.attribute(name));
      for (const one of list) {
        const inner = scope.inner();
        loop.index++;
        target(inner, one);
        inner.values.set("loop", shown);
        if (body(inner, out) === "break") break;
      }
      return list.length === 0 ? otherwise?.(scope.inner(), out) : undefined;
    };
    return (scope, out) => run(scope, out, items(scope), 1);
  }

  /** A macro's or a caller's body: breaks do not reach out of it. */
  #ownBody(end: string): { body: Statement; names: Set<string> } {
    const [loops, names] = [this.#loops, this.names];
    this.#loops = 0;
    this.names = new Set();
    const body = this.#closedBy(end);
    const own = this.names;
    this.#loops = loops;
    this.names = new Set([...names, ...own]);
    return { body, names: own };
  }

  #parameters(): [name: string, otherwise: Expression | undefined][] {
    const parameters: [string, Expression | undefined][] = [];
    this.take("operator", "(");
    while (!this.skip("operator", ")")) {
      if (parameters.length > 0) this.take("operator", ",");
      const name = this.take("name").text;
      parameters.push([name, this.skip("operator", "=") ? this.expression() : undefined]);
    }
    return parameters;
  }

  #macro(): Statement {
    const name = this.take("name").text;
    const parameters = this.#parameters();
    this.take("endblock");
    const own = this.#ownBody("endmacro");
    return (scope) => {
      scope.values.set(name, macro(name, parameters, own, scope));
      return undefined;
    };
  }

  #callBlock(): Statement {
    const parameters = this.is("operator", "(") ? this.#parameters() : [];
    // The call's last parentheses are the macro's arguments, to which the caller is added.
    const callee = this.primary();
    let of = callee;
    while (this.skip("operator", ".")) {
      const [held, name] = [of, this.take("name").text];
      of = (scope) => (held(scope) as Namespace).values.get(name) ?? null;
    }
    const given = this.arguments();
    this.take("endblock");
    const own = this.#ownBody("endcall");
    return (scope, out) => {
      const all = given(scope);
      all.named.set("caller", macro("caller", parameters, own, scope));
      out.text += str(call(of(scope), all));
      return undefined;
    };
  }

  #generation(): Statement {
    this.take("endblock");
    const { body } = this.#ownBody("endgeneration");
    return (scope, out) => {
      const written = new Output();
      body(scope.inner(), written);
      const { run } = scope;
      run.spans.push({ start: run.root.text.length, text: written.text });
      out.text += written.text;
      return undefined;
    };
  }
}

class Loop {
  index = -1;
  #changed: Value | undefined;
  constructor(
    readonly list: readonly Value[],
    readonly depth: number,
  ) {}

  attribute(name: string): Value | undefined {
    const { list, index } = this;
    switch (name) {
      case "index":
        return index + 1;
      case "index0":
        return index;
      case "revindex":
        return list.length - index;
      case "revindex0":
        return list.length - index - 1;
      case "first":
        return index === 0;
      case "last":
        return index === list.length - 1;
      case "length":
        return list.length;
      case "depth":
        return this.depth;
      case "depth0":
        return this.depth - 1;
      case "previtem":
        return index > 0 ? list[index - 1] : new Undefined("there is no previous item");
      case "nextitem":
        return index + 1 < list.length ? list[index + 1] : new Undefined("there is no next item");
      case "cycle":
        return new Callable("cycle", ({ positional }) =>
          positional.length === 0 ? fail("no items for cycling given") : positional[index % positional.length]!,
        );
      case "changed":
        return new Callable("changed", ({ positional }) => {
          const same = this.#changed !== undefined && equal(this.#changed, positional);
          this.#changed = positional;
          return !same;
        });
      default:
        return undefined;
    }
  }
}

function macro(
  name: string,
  parameters: readonly [name: string, otherwise: Expression | undefined][],
  { body, names }: { body: Statement; names: Set<string> },
  scope: Scope,
): Callable {
  return new Callable(name, ({ positional, named }) => {
    const inner = scope.inner();
    const rest = new Map(named);
    parameters.forEach(([key, otherwise], i) => {
      const given = i < positional.length ? positional[i] : rest.get(key);
      if (i < positional.length && rest.has(key)) fail(`macro ${name} got the argument '${key}' twice`);
      rest.delete(key);
      inner.values.set(
        key,
        given ?? (given === null ? null : (otherwise?.(inner) ?? new Undefined(`parameter '${key}' was not provided`))),
      );
    });
    if (names.has("caller") || rest.has("caller")) {
      inner.values.set("caller", rest.get("caller") ?? new Undefined("No caller defined"));
      if (names.has("caller")) rest.delete("caller");
    }
    if (names.has("kwargs")) inner.values.set("kwargs", rest as Map<Value, Value>);
    else for (const key of rest.keys()) fail(`macro '${name}' takes no keyword argument '${key}'`);
    if (names.has("varargs")) inner.values.set("varargs", Tuple.of2(...positional.slice(parameters.length)));
    else if (positional.length > parameters.length)
      fail(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
    const out = new Output();
    body(inner, out);
    return out.text;
  });
}

/** The output of a body, through filters that read it under the empty name. */
function filtered(scope: Scope, body: Statement, text: Expression): Value {
  const inner = scope.inner();
  const out = new Output();
  body(inner, out);
  inner.values.set("", out.text);
  return text(inner);
}

function printed(value: Expression): Statement {
  return (scope, out) => {
    // The value first: functions that it calls may write to the same output.
    const text = str(value(scope));
    out.text += text;
    return undefined;
  };
}

function at(line: number, statement: Statement): Statement {
  return (scope, out) => {
    scope.run.line = line;
    return statement(scope, out);
  };
}

function sequence(statements: readonly Statement[]): Statement {
  return (scope, out) => {
    for (const statement of statements) {
      const signal = statement(scope, out);
      if (signal !== undefined) return signal;
    }
    return undefined;
  };
}
