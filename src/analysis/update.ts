// The update of a module, scale B A, by its singular values and directions. The product is never formed.
import type { Factors } from "../checkpoint/index.js";
import {
  type Columns,
  cholesky,
  firstColumns,
  multiply,
  solveUpper,
  svd,
  thinQr,
  transpose,
} from "./linear-algebra.js";

export interface Update {
  /** Singular values of scale B A, falling: (K), K at most R. */
  values: Float64Array;
  /** The first k left singular vectors (O, k): directions that the update writes. k counts values above 0. */
  outputs(k: number): Columns;
  /** The first k right singular vectors (I, k): directions that the update reads. */
  inputs(k: number): Columns;
}

/** A tall factor X (N, R) = Q R, Q with orthonormal columns. */
interface Tall {
  r: Columns;
  /** Q times these columns. */
  span(coefficients: Columns): Columns;
}

/**
 * The squared condition number beyond which R does not come from X^T X: the smallest singular value then has a relative error of about
 * 1e-16 times this number.
 */
const MOST_CONDITION = 1e10;

/** @param gram X^T X @param times X times columns */
function tall(gram: Columns, times: (columns: Columns) => Columns, columns: () => Columns): Tall {
  const r = cholesky(gram, MOST_CONDITION);
  if (r) return { r, span: (coefficients) => times(solveUpper(r, coefficients)) };
  const qr = thinQr(columns());
  return { r: qr.r, span: (coefficients) => multiply(qr.q, coefficients) };
}

/** Of A (R, I), whose transpose is tall. */
function tallInputs({ a, inputs, rank }: Factors): Tall {
  const gram = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) {
    for (let j = 0; j <= i; j++) {
      let [s0, s1, p, q] = [0, 0, i * inputs, j * inputs];
      const end = p + inputs - 1;
      for (; p < end; p += 2, q += 2) {
        s0 += a[p]! * a[q]!;
        s1 += a[p + 1]! * a[q + 1]!;
      }
      if (p === end) s0 += a[p]! * a[q]!;
      gram[i * rank + j] = s0 + s1;
      gram[j * rank + i] = s0 + s1;
    }
  }
  const columns = (): Columns => ({ rows: inputs, cols: rank, data: Float64Array.from(a) });
  const times = (c: Columns) => multiply(columns(), c);
  return tall({ rows: rank, cols: rank, data: gram }, times, columns);
}

/** Of B (O, R). */
function tallOutputs({ b, out, rank }: Factors): Tall {
  const gram = new Float64Array(rank * rank);
  for (let row = 0; row < out; row++) {
    const at = row * rank;
    for (let i = 0; i < rank; i++) {
      const x = b[at + i]!;
      for (let j = 0, to = i * rank; j <= i; j++, to++) gram[to]! += x * b[at + j]!;
    }
  }
  for (let i = 0; i < rank; i++) for (let j = 0; j < i; j++) gram[j * rank + i] = gram[i * rank + j]!;
  const columns = () => transpose({ rows: rank, cols: out, data: Float64Array.from(b) });
  const times = (c: Columns) => multiply(columns(), c);
  return tall({ rows: rank, cols: rank, data: gram }, times, columns);
}

/** The singular value decomposition of scale B A: of B = Q R and A^T = Q' R' it is that of the small scale R R'^T. */
export function updateSvd(factors: Factors): Update {
  const [left, right] = [tallOutputs(factors), tallInputs(factors)];
  const core = multiply(left.r, transpose(right.r));
  for (const [i, value] of core.data.entries()) core.data[i] = factors.scale * value;
  const { u, values, v } = svd(core);
  return {
    values,
    outputs: (k) => left.span(firstColumns(u, k)),
    inputs: (k) => right.span(firstColumns(v, k)),
  };
}
