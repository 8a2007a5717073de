// Expressions, parsed into functions.
import { filterOf } from "./filters.js";
import type { Token, TokenKind } from "./lexer.js";
import { add, arithmetic, attribute, compared, item, slice } from "./operators.js";
import type { Expression, Scope } from "./scope.js";
import { testOf } from "./tests.js";
import {
  type Arguments,
  Callable,
  type Dict,
  Float,
  fail,
  integer,
  isNumber,
  keyOf,
  plain,
  str,
  TemplateError,
  Tuple,
  truthy,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

const CONSTANTS: Record<string, Value> = { true: true, True: true, false: false, False: false, none: null, None: null };
/** Jinja's own functions that are not built here: a template that uses one is refused by name. */
const ABSENT = ["lipsum", "cycler", "joiner"];

export class ExpressionParser {
  protected at = 0;
  /** Names that were read since a macro began. */
  protected names = new Set<string>();

  constructor(protected readonly tokens: readonly Token[]) {}

  protected get token(): Token {
    return this.tokens[this.at]!;
  }

  protected refuse(message: string): never {
    const error = new TemplateError(message);
    error.line = this.token.line;
    throw error;
  }

  protected is(kind: TokenKind, ...texts: string[]): boolean {
    const { token } = this;
    return token.kind === kind && (texts.length === 0 || texts.includes(token.text));
  }

  protected skip(kind: TokenKind, text: string): boolean {
    if (!this.is(kind, text)) return false;
    this.at++;
    return true;
  }

  protected take(kind: TokenKind, text?: string): Token {
    const { token } = this;
    if (token.kind !== kind || (text !== undefined && token.text !== text))
      this.refuse(`expected ${text ?? kind}, found ${token.text || token.kind}`);
    this.at++;
    return token;
  }

  /** An expression, or a tuple without parentheses. */
  protected tuple(withCondition = true, endName?: string): Expression {
    const items: Expression[] = [];
    let isTuple = false;
    while (!this.is("endvariable") && !this.is("endblock") && !this.is("operator", ")")) {
      if (endName !== undefined && this.is("name", endName)) break;
      items.push(withCondition ? this.expression() : this.or());
      if (!this.skip("operator", ",")) break;
      isTuple = true;
    }
    if (!isTuple) return items[0] ?? this.refuse("an expression is expected");
    return (scope) => Tuple.of2(...items.map((one) => one(scope)));
  }

  protected expression(): Expression {
    let value = this.or();
    while (this.skip("name", "if")) {
      const test = this.or();
      const [yes, line] = [value, this.token.line];
      const no = this.skip("name", "else") ? this.expression() : undefined;
      value = (scope) =>
        truthy(test(scope))
          ? yes(scope)
          : no === undefined
            ? new Undefined(
                `the inline if-expression on line ${line} evaluated to false and no else section was defined.`,
              )
            : no(scope);
    }
    return value;
  }

  protected or(): Expression {
    let left = this.and();
    while (this.skip("name", "or")) {
      const [a, b] = [left, this.and()];
      left = (scope) => {
        const value = a(scope);
        return truthy(value) ? value : b(scope);
      };
    }
    return left;
  }

  protected and(): Expression {
    let left = this.#not();
    while (this.skip("name", "and")) {
      const [a, b] = [left, this.#not()];
      left = (scope) => {
        const value = a(scope);
        return truthy(value) ? b(scope) : value;
      };
    }
    return left;
  }

  #not(): Expression {
    if (!this.skip("name", "not")) return this.#comparison();
    const value = this.#not();
    return (scope) => !truthy(value(scope));
  }

  #comparison(): Expression {
    const first = this.#sum();
    const rest: [string, Expression][] = [];
    for (;;) {
      const { text } = this.token;
      if (this.is("operator", "==", "!=", "<", "<=", ">", ">=") || this.is("name", "in")) {
        this.at++;
        rest.push([text, this.#sum()]);
      } else if (
        this.is("name", "not") &&
        this.tokens[this.at + 1]?.kind === "name" &&
        this.tokens[this.at + 1]?.text === "in"
      ) {
        this.at += 2;
        rest.push(["not in", this.#sum()]);
      } else break;
    }
    if (rest.length === 0) return first;
    return (scope) => {
      let left = first(scope);
      for (const [operator, next] of rest) {
        const right = next(scope);
        if (!compared(operator, left, right)) return false;
        left = right;
      }
      return true;
    };
  }

  #sum(): Expression {
    let left = this.#concatenation();
    while (this.is("operator", "+", "-")) {
      const { text } = this.tokens[this.at++]!;
      const [a, b] = [left, this.#concatenation()];
      left = text === "+" ? (scope) => add(a(scope), b(scope)) : (scope) => arithmetic("-", a(scope), b(scope));
    }
    return left;
  }

  #concatenation(): Expression {
    const parts = [this.#product()];
    while (this.skip("operator", "~")) parts.push(this.#product());
    return parts.length === 1 ? parts[0]! : (scope) => parts.map((part) => str(part(scope))).join("");
  }

  #product(): Expression {
    let left = this.#power();
    while (this.is("operator", "*", "/", "//", "%")) {
      const { text } = this.tokens[this.at++]!;
      const [a, b] = [left, this.#power()];
      left = (scope) => arithmetic(text, a(scope), b(scope));
    }
    return left;
  }

  #power(): Expression {
    let left = this.#unary(true);
    while (this.skip("operator", "**")) {
      const [a, b] = [left, this.#unary(true)];
      left = (scope) => arithmetic("**", a(scope), b(scope));
    }
    return left;
  }

  #unary(withFilter: boolean): Expression {
    let value: Expression;
    if (this.is("operator", "-", "+")) {
      const sign = this.tokens[this.at++]!.text;
      const inner = this.#unary(false);
      value = (scope) => {
        const number = inner(scope);
        if (!isNumber(number)) return fail(`bad operand type for unary ${sign}: '${typeName(number)}'`);
        if (number instanceof Float) return sign === "-" ? new Float(-number.value) : number;
        return arithmetic(sign, 0, plain(number));
      };
    } else value = this.primary();
    value = this.#postfix(value);
    return withFilter ? this.filters(value) : value;
  }

  protected primary(): Expression {
    const token = this.tokens[this.at++]!;
    const { text } = token;
    switch (token.kind) {
      case "name": {
        if (Object.hasOwn(CONSTANTS, text)) {
          const constant = CONSTANTS[text] as Value;
          return () => constant;
        }
        this.names.add(text);
        return (scope) => {
          const value = scope.get(text);
          return value === undefined ? unknown(text) : value;
        };
      }
      case "text": {
        let whole = text;
        while (this.is("text")) whole += this.tokens[this.at++]!.text;
        return () => whole;
      }
      case "int": {
        const number = integer(BigInt(text));
        return () => number;
      }
      case "float": {
        const number = new Float(Number(text));
        return () => number;
      }
      case "operator":
        if (text === "(") {
          if (this.skip("operator", ")")) return () => new Tuple();
          const value = this.tuple();
          this.take("operator", ")");
          return value;
        }
        if (text === "[") {
          const items = this.#until("]", () => this.expression());
          return (scope) => items.map((one) => one(scope));
        }
        if (text === "{") {
          const entries = this.#until("}", () => {
            const key = this.expression();
            this.take("operator", ":");
            return [key, this.expression()] as const;
          });
          return (scope) => {
            const dict: Dict = new Map();
            for (const [key, value] of entries) dict.set(keyOf(key(scope)), value(scope));
            return dict;
          };
        }
    }
    this.at--;
    return this.refuse(`unexpected ${text || token.kind}`);
  }

  #until<T>(close: string, one: () => T): T[] {
    const items: T[] = [];
    while (!this.skip("operator", close)) {
      if (items.length > 0) {
        this.take("operator", ",");
        if (this.skip("operator", close)) break;
      }
      items.push(one());
    }
    return items;
  }

  #postfix(of: Expression): Expression {
    let value = of;
    for (;;) {
      if (this.is("operator", ".", "[")) value = this.#subscript(value);
      else if (this.is("operator", "(")) value = this.#call(value);
      else return value;
    }
  }

  #subscript(value: Expression): Expression {
    if (this.skip("operator", ".")) {
      if (this.is("int")) {
        const index = Number(this.take("int").text);
        return (scope) => item(value(scope), index);
      }
      const name = this.take("name").text;
      return (scope) => attribute(value(scope), name);
    }
    this.take("operator", "[");
    const bounds: (Expression | undefined)[] = [];
    let isSlice = false;
    let open = true;
    while (open && !this.is("operator", "]")) {
      if (this.skip("operator", ":")) {
        isSlice = true;
        if (bounds.length === 0) bounds.push(undefined);
        if (this.is("operator", ":", "]")) bounds.push(undefined);
      } else if (this.is("operator", ",")) this.refuse("an index of several parts is not supported");
      else {
        bounds.push(this.expression());
        open = this.is("operator", ":");
      }
    }
    this.take("operator", "]");
    if (!isSlice) {
      const key = bounds[0] ?? this.refuse("an index is expected");
      return (scope) => item(value(scope), key(scope));
    }
    return (scope) =>
      slice(
        value(scope),
        bounds.map((bound) => bound?.(scope) ?? null),
      );
  }

  /** Arguments after an opening parenthesis, which is the current token. */
  protected arguments(): (scope: Scope) => Arguments {
    this.take("operator", "(");
    const parts = this.#until(")", () => {
      if (this.is("operator", "*", "**")) this.refuse("arguments with * are not supported");
      const next = this.tokens[this.at + 1]!;
      if (!this.is("name") || next.kind !== "operator" || next.text !== "=")
        return [undefined, this.expression()] as const;
      const name = this.take("name").text;
      this.at++;
      return [name, this.expression()] as const;
    });
    return (scope) => {
      const given: Arguments = { positional: [], named: new Map() };
      for (const [name, value] of parts) {
        if (name === undefined) given.positional.push(value(scope));
        else given.named.set(name, value(scope));
      }
      return given;
    };
  }

  #call(callee: Expression): Expression {
    const given = this.arguments();
    return (scope) => call(callee(scope), given(scope));
  }

  protected filters(of: Expression): Expression {
    let value = of;
    for (;;) {
      if (this.skip("operator", "|")) value = this.filter(value);
      else if (this.skip("name", "is")) value = this.#test(value);
      else if (this.is("operator", "(")) value = this.#call(value);
      else return value;
    }
  }

  #dotted(): string {
    let name = this.take("name").text;
    while (this.skip("operator", ".")) name += `.${this.take("name").text}`;
    return name;
  }

  /** A filter's name and arguments, after the bar. */
  protected filter(value: Expression): Expression {
    const name = this.#dotted();
    const given = this.is("operator", "(") ? this.arguments() : () => ({ positional: [], named: new Map() });
    return (scope) => filterOf(name)(value(scope), given(scope));
  }

  #test(value: Expression): Expression {
    const negated = this.skip("name", "not");
    const name = this.#dotted();
    let given: (scope: Scope) => Arguments = () => ({ positional: [], named: new Map() });
    if (this.is("operator", "(")) given = this.arguments();
    else if (
      (this.is("name") || this.is("text") || this.is("int") || this.is("float") || this.is("operator", "[", "{")) &&
      !this.is("name", "else", "or", "and")
    ) {
      if (this.is("name", "is")) this.refuse("tests cannot be chained with is");
      const one = this.#postfix(this.primary());
      given = (scope) => ({ positional: [one(scope)], named: new Map() });
    }
    return (scope) => testOf(name)(value(scope), given(scope).positional) !== negated;
  }
}

function unknown(name: string): Undefined {
  return ABSENT.includes(name) ? fail(`the function '${name}' is not known`) : new Undefined(`'${name}' is undefined`);
}

export function call(callee: Value, given: Arguments): Value {
  if (callee instanceof Undefined) callee.raise();
  return callee instanceof Callable ? callee.call(given) : fail(`'${typeName(callee)}' object is not callable`);
}
