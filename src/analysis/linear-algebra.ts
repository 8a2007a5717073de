// Small dense linear algebra in double precision: thin QR and singular values of tall, thin matrices.

/** Column after column: element (i, j) is data[j * rows + i]. */
export interface Columns {
  rows: number;
  cols: number;
  data: Float64Array;
}

const zeros = (rows: number, cols: number): Columns => ({ rows, cols, data: new Float64Array(rows * cols) });

/** Column j as a view. */
export const column = ({ rows, data }: Columns, j: number) => data.subarray(j * rows, (j + 1) * rows);

/** The first n columns, as a view. */
export const firstColumns = ({ rows, data }: Columns, n: number): Columns => ({
  rows,
  cols: n,
  data: data.subarray(0, rows * n),
});

function dot(a: Float64Array, b: Float64Array, from = 0): number {
  const n = a.length;
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = from;
  for (; i + 3 < n; i += 4) {
    s0 += a[i]! * b[i]!;
    s1 += a[i + 1]! * b[i + 1]!;
    s2 += a[i + 2]! * b[i + 2]!;
    s3 += a[i + 3]! * b[i + 3]!;
  }
  for (; i < n; i++) s0 += a[i]! * b[i]!;
  return s0 + s1 + (s2 + s3);
}

/** y += factor x, from element `from` on. */
function add(y: Float64Array, factor: number, x: Float64Array, from = 0): void {
  for (let i = from; i < y.length; i++) y[i]! += factor * x[i]!;
}

export function transpose({ rows, cols, data }: Columns): Columns {
  const t = zeros(cols, rows);
  for (let j = 0; j < cols; j++) {
    for (let i = 0; i < rows; i++) t.data[i * cols + j] = data[j * rows + i]!;
  }
  return t;
}

/** A (M, K) times B (K, N). */
export function multiply(a: Columns, b: Columns): Columns {
  const c = zeros(a.rows, b.cols);
  for (let j = 0; j < b.cols; j++) {
    const [from, to] = [column(b, j), column(c, j)];
    for (let k = 0; k < a.cols; k++) if (from[k] !== 0) add(to, from[k]!, column(a, k));
  }
  return c;
}

/** A (K, M) transposed times B (K, N). */
export function multiplyTransposed(a: Columns, b: Columns): Columns {
  const c = zeros(a.cols, b.cols);
  for (let j = 0; j < b.cols; j++) {
    for (let i = 0; i < a.cols; i++) c.data[j * a.cols + i] = dot(column(a, i), column(b, j));
  }
  return c;
}

/**
 * A (M, N) = Q (M, K) R (K, N), K the smaller of M and N; Q has orthonormal columns and R is upper triangular. By Householder reflections
 * (Golub and Van Loan, Matrix Computations, 5.2).
 */
export function thinQr(matrix: Columns): { q: Columns; r: Columns } {
  const { rows, cols } = matrix;
  const k = Math.min(rows, cols);
  const a: Columns = { rows, cols, data: matrix.data.slice() };
  const betas = new Float64Array(k);
  const r = zeros(k, cols);
  for (let j = 0; j < k; j++) {
    // The reflection's vector takes the place of column j below the diagonal.
    const v = column(a, j);
    const below = dot(v, v, j + 1);
    const norm = Math.sqrt(v[j]! * v[j]! + below);
    if (norm === 0) continue;
    const alpha = v[j]! > 0 ? -norm : norm;
    const first = v[j]! - alpha;
    betas[j] = 2 / (first * first + below);
    v[j] = first;
    for (let c = j + 1; c < cols; c++) {
      const other = column(a, c);
      add(other, -betas[j]! * dot(v, other, j), v, j);
    }
    r.data[j * k + j] = alpha;
  }
  for (let c = 0; c < cols; c++) {
    for (let i = 0; i < Math.min(c, k); i++) r.data[c * k + i] = a.data[c * rows + i]!;
  }
  const q = zeros(rows, k);
  for (let c = 0; c < k; c++) {
    const to = column(q, c);
    to[c] = 1;
    for (let j = k - 1; j >= 0; j--) {
      const v = column(a, j);
      if (betas[j] !== 0) add(to, -betas[j]! * dot(v, to, j), v, j);
    }
  }
  return { q, r };
}

/**
 * The upper triangular R (N, N) with G = R^T R. Null where G is not positive definite, or where the squared ratio of R's diagonal elements
 * says that its condition number exceeds `most`.
 */
export function cholesky(gram: Columns, most: number): Columns | null {
  const n = gram.rows;
  const r = zeros(n, n);
  let [least, largest] = [Number.POSITIVE_INFINITY, 0];
  for (let j = 0; j < n; j++) {
    const to = column(r, j);
    for (let i = 0; i <= j; i++) {
      const from = column(r, i);
      let sum = gram.data[j * n + i]!;
      for (let k = 0; k < i; k++) sum -= from[k]! * to[k]!;
      if (i < j) to[i] = sum / from[i]!;
      else {
        least = Math.min(least, sum);
        largest = Math.max(largest, sum);
        if (!(sum > 0) || largest > most * least) return null;
        to[i] = Math.sqrt(sum);
      }
    }
  }
  return r;
}

/** R^-1 C for an upper triangular R (N, N) and C (N, K). */
export function solveUpper(r: Columns, c: Columns): Columns {
  const solved: Columns = { ...c, data: c.data.slice() };
  for (let j = 0; j < c.cols; j++) {
    const x = column(solved, j);
    for (let i = r.rows - 1; i >= 0; i--) {
      x[i]! /= r.data[i * r.rows + i]!;
      const from = column(r, i);
      for (let k = 0; k < i; k++) x[k]! -= from[k]! * x[i]!;
    }
  }
  return solved;
}

export interface Svd {
  /** (M, K) */
  u: Columns;
  /** Falling. */
  values: Float64Array;
  /** (N, K) */
  v: Columns;
}

/** Sweeps after which the rotations have always ended: convergence is quadratic. */
const MOST_SWEEPS = 60;

/**
 * The singular value decomposition U diag(values) V^T of a small matrix (M, N), K the smaller of M and N, by one-sided Jacobi rotations
 * (Hestenes, 1958; Demmel and Veselic, 1992, for its accuracy). Vectors of singular values that are 0 are 0.
 */
export function svd(matrix: Columns): Svd {
  if (matrix.rows < matrix.cols) {
    const { u, values, v } = svd(transpose(matrix));
    return { u: v, values, v: u };
  }
  const n = matrix.cols;
  const a: Columns = { ...matrix, data: matrix.data.slice() };
  const v = zeros(n, n);
  for (let i = 0; i < n; i++) v.data[i * n + i] = 1;
  const norms = orthogonalise(a, v);
  const order = [...norms.keys()].sort((i, j) => norms[j]! - norms[i]!);
  const sorted: Svd = { u: zeros(a.rows, n), values: Float64Array.from(order, (j) => norms[j]!), v: zeros(n, n) };
  for (const [to, from] of order.entries()) {
    column(sorted.v, to).set(column(v, from));
    if (norms[from]! > 0) add(column(sorted.u, to), 1 / norms[from]!, column(a, from));
  }
  return sorted;
}

/** The singular values of a small matrix, falling: those of `svd`, without the work for vectors. */
export function singularValues(matrix: Columns): Float64Array {
  if (matrix.rows < matrix.cols) return singularValues(transpose(matrix));
  return orthogonalise({ ...matrix, data: matrix.data.slice() })
    .sort()
    .reverse();
}

/** Turns the columns of A until they stand upright on each other, and those of V with them. @returns the norms of A's columns */
function orthogonalise(a: Columns, v?: Columns): Float64Array {
  const columnsOf = (m: Columns) => Array.from({ length: m.cols }, (_, j) => column(m, j));
  const ofA = columnsOf(a);
  const ofV = v && columnsOf(v);
  const n = a.cols;
  for (let sweep = 0, rotated = true; rotated && sweep < MOST_SWEEPS; sweep++) {
    rotated = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const angle = between(ofA[p]!, ofA[q]!);
        if (angle === null) continue;
        rotated = true;
        rotate(ofA[p]!, ofA[q]!, angle);
        if (ofV) rotate(ofV[p]!, ofV[q]!, angle);
      }
    }
  }
  return Float64Array.from(ofA, (x) => Math.sqrt(dot(x, x)));
}

/** The tangent of the angle by which two columns are turned so that they stand upright on each other; null where they do. */
function between(x: Float64Array, y: Float64Array): number | null {
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < x.length; i++) {
    const l = x[i]!;
    const r = y[i]!;
    xx += l * l;
    yy += r * r;
    xy += l * r;
  }
  if (Math.abs(xy) <= 1e-15 * Math.sqrt(xx * yy)) return null;
  const zeta = (yy - xx) / (2 * xy);
  return (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
}

function rotate(x: Float64Array, y: Float64Array, tangent: number): void {
  const c = 1 / Math.sqrt(1 + tangent * tangent);
  const s = c * tangent;
  for (let i = 0; i < x.length; i++) {
    const l = x[i]!;
    const r = y[i]!;
    x[i] = c * l - s * r;
    y[i] = s * l + c * r;
  }
}
