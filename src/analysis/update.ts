// The update of a module, scale B A, by its singular values and directions. The product is never formed.
import type { Factors } from "../checkpoint/index.js";
import {
  type Columns,
  cholesky,
  firstColumns,
  multiply,
  singularValues,
  solveUpper,
  svd,
  thinQr,
  transpose,
} from "./linear-algebra.js";
import { type Measures, measure } from "./measures.js";

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
    const x = a.subarray(i * inputs, (i + 1) * inputs);
    // Two rows at a time: x is read once for both. Each sum is one of even and one of odd elements.
    for (let j = 0; j <= i; j += 2) {
      const y = a.subarray(j * inputs, (j + 1) * inputs);
      const z = j < i ? a.subarray((j + 1) * inputs, (j + 2) * inputs) : y;
      let y0 = 0;
      let y1 = 0;
      let z0 = 0;
      let z1 = 0;
      let k = 0;
      for (; k + 1 < inputs; k += 2) {
        const even = x[k]!;
        const odd = x[k + 1]!;
        y0 += even * y[k]!;
        y1 += odd * y[k + 1]!;
        z0 += even * z[k]!;
        z1 += odd * z[k + 1]!;
      }
      if (k < inputs) {
        y0 += x[k]! * y[k]!;
        z0 += x[k]! * z[k]!;
      }
      gram[i * rank + j] = gram[j * rank + i] = y0 + y1;
      if (j < i) gram[i * rank + j + 1] = gram[(j + 1) * rank + i] = z0 + z1;
    }
  }
  const columns = (): Columns => ({ rows: inputs, cols: rank, data: new Float64Array(a) });
  const times = (c: Columns): Columns => {
    const data = new Float64Array(inputs * c.cols);
    for (let j = 0; j < c.cols; j++) {
      const to = data.subarray(j * inputs, (j + 1) * inputs);
      let r = 0;
      for (; r + 3 < rank; r += 4) {
        const factors = c.data.subarray(j * rank + r, j * rank + r + 4);
        for (let i = 0, at = r * inputs; i < inputs; i++, at++) {
          let sum = to[i]!;
          sum += factors[0]! * a[at]!;
          sum += factors[1]! * a[at + inputs]!;
          sum += factors[2]! * a[at + 2 * inputs]!;
          sum += factors[3]! * a[at + 3 * inputs]!;
          to[i] = sum;
        }
      }
      for (; r < rank; r++) {
        const factor = c.data[j * rank + r]!;
        for (let i = 0; i < inputs; i++) to[i]! += factor * a[r * inputs + i]!;
      }
    }
    return { rows: inputs, cols: c.cols, data };
  };
  return tall({ rows: rank, cols: rank, data: gram }, times, columns);
}

/** Of B (O, R). */
function tallOutputs({ b, out, rank }: Factors): Tall {
  const gram = new Float64Array(rank * rank);
  // Four rows at a time, added one after the other: the sums stay in registers.
  let row = 0;
  for (; row + 3 < out; row += 4) {
    const p = row * rank;
    const q = p + rank;
    const s = q + rank;
    const t = s + rank;
    for (let i = 0; i < rank; i++) {
      const x0 = b[p + i]!;
      const x1 = b[q + i]!;
      const x2 = b[s + i]!;
      const x3 = b[t + i]!;
      for (let j = 0, to = i * rank; j <= i; j++, to++) {
        let sum = gram[to]!;
        sum += x0 * b[p + j]!;
        sum += x1 * b[q + j]!;
        sum += x2 * b[s + j]!;
        sum += x3 * b[t + j]!;
        gram[to] = sum;
      }
    }
  }
  for (; row < out; row++) {
    const at = row * rank;
    for (let i = 0; i < rank; i++) {
      for (let j = 0, to = i * rank; j <= i; j++, to++) gram[to]! += b[at + i]! * b[at + j]!;
    }
  }
  for (let i = 0; i < rank; i++) for (let j = 0; j < i; j++) gram[j * rank + i] = gram[i * rank + j]!;
  const columns = () => transpose({ rows: rank, cols: out, data: new Float64Array(b) });
  const times = (c: Columns): Columns => {
    const data = new Float64Array(out * c.cols);
    for (let j = 0, to = 0; j < c.cols; j++) {
      const factors = c.data.subarray(j * rank, (j + 1) * rank);
      let row = 0;
      for (let at = 0; row + 3 < out; row += 4, to += 4, at += 4 * rank) {
        let sum0 = 0;
        let sum1 = 0;
        let sum2 = 0;
        let sum3 = 0;
        for (let r = 0, p = at; r < rank; r++, p++) {
          const factor = factors[r]!;
          sum0 += factor * b[p]!;
          sum1 += factor * b[p + rank]!;
          sum2 += factor * b[p + 2 * rank]!;
          sum3 += factor * b[p + 3 * rank]!;
        }
        data[to] = sum0;
        data[to + 1] = sum1;
        data[to + 2] = sum2;
        data[to + 3] = sum3;
      }
      for (; row < out; row++, to++) {
        for (let r = 0; r < rank; r++) data[to]! += factors[r]! * b[row * rank + r]!;
      }
    }
    return { rows: out, cols: c.cols, data };
  };
  return tall({ rows: rank, cols: rank, data: gram }, times, columns);
}

/** Of B = Q R and A^T = Q' R': scale B A has the singular values of the small scale R R'^T. */
function coreOf(left: Tall, right: Tall, scale: number): Columns {
  const core = multiply(left.r, transpose(right.r));
  for (let i = 0; i < core.data.length; i++) core.data[i]! *= scale;
  return core;
}

/** The measures of an update, for which no directions are computed. */
export function spectrum(factors: Factors): Measures {
  return measure(singularValues(coreOf(tallOutputs(factors), tallInputs(factors), factors.scale)));
}

/** The singular value decomposition of scale B A. */
export function updateSvd(factors: Factors): Update {
  const [left, right] = [tallOutputs(factors), tallInputs(factors)];
  const { u, values, v } = svd(coreOf(left, right, factors.scale));
  return {
    values,
    outputs: (k) => left.span(firstColumns(u, k)),
    inputs: (k) => right.span(firstColumns(v, k)),
  };
}
