// All eigenvalues and eigenvectors of a symmetric matrix, in double precision.

export interface Eigen {
  /** Falling. */
  values: Float64Array;
  /** Row i is the eigenvector of values[i]: (N, N), orthonormal. */
  vectors: Float64Array;
}

/** Iterations for one eigenvalue after which it has always been found: convergence is cubic. */
const MOST_ITERATIONS = 60;

const dot = (a: Float64Array, b: Float64Array): number => {
  let [even, odd] = [0, 0];
  let i = 0;
  for (; i + 1 < a.length; i += 2) {
    even += a[i]! * b[i]!;
    odd += a[i + 1]! * b[i + 1]!;
  }
  return i < a.length ? even + odd + a[i]! * b[i]! : even + odd;
};

/** y += factor x. */
function add(y: Float64Array, factor: number, x: Float64Array): void {
  for (let i = 0; i < y.length; i++) y[i]! += factor * x[i]!;
}

/**
 * By Householder reflections to a tridiagonal matrix, and QL iterations with implicit shifts (Bowdler, Martin, Reinsch and Wilkinson, 1968;
 * Golub and Van Loan, Matrix Computations, 8.3). About 6 N^3 operations; an eigenvalue is off by about 1e-16 of the largest one.
 * @param a (N, N), row after row; overwritten
 */
export function symmetricEigen(a: Float64Array, n: number): Eigen {
  const diagonal = new Float64Array(n);
  // beside[i] is the element at (i, i + 1).
  const beside = new Float64Array(n);
  const vectors = reduced(a, n, diagonal, beside);
  iterate(diagonal, beside, vectors, n);
  const order = [...diagonal.keys()].sort((i, j) => diagonal[j]! - diagonal[i]!);
  const sorted = new Float64Array(n * n);
  for (const [to, from] of order.entries()) sorted.set(vectors.subarray(from * n, (from + 1) * n), to * n);
  return { values: Float64Array.from(order, (i) => diagonal[i]!), vectors: sorted };
}

/** A = Q T Q^T with a tridiagonal T. @returns the transpose of Q */
function reduced(a: Float64Array, n: number, diagonal: Float64Array, beside: Float64Array): Float64Array {
  const factors = new Float64Array(n);
  const product = new Float64Array(n);
  const rowFrom = (m: Float64Array, i: number, from: number) => m.subarray(i * n + from, (i + 1) * n);
  for (let k = 0; k < n; k++) {
    diagonal[k] = a[k * n + k]!;
    // The reflection's vector takes the place of the row beyond the diagonal.
    const v = rowFrom(a, k, k + 1);
    const norm = Math.sqrt(dot(v, v));
    if (norm === 0) continue;
    const alpha = v[0]! > 0 ? -norm : norm;
    beside[k] = alpha;
    v[0]! -= alpha;
    const factor = 2 / dot(v, v);
    factors[k] = factor;
    const p = product.subarray(k + 1);
    for (let i = k + 1; i < n; i++) p[i - k - 1] = factor * dot(rowFrom(a, i, k + 1), v);
    add(p, (-factor / 2) * dot(p, v), v);
    for (let i = k + 1; i < n; i++) {
      const row = rowFrom(a, i, k + 1);
      add(row, -v[i - k - 1]!, p);
      add(row, -p[i - k - 1]!, v);
    }
  }
  const q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) q[i * n + i] = 1;
  for (let k = n - 1; k >= 0; k--) {
    if (factors[k] === 0) continue;
    const v = rowFrom(a, k, k + 1);
    for (let i = k + 1; i < n; i++) {
      const row = rowFrom(q, i, k + 1);
      add(row, -factors[k]! * dot(row, v), v);
    }
  }
  return q;
}

/** Makes T diagonal; each rotation turns two rows of `vectors`. */
function iterate(d: Float64Array, e: Float64Array, vectors: Float64Array, n: number): void {
  for (let first = 0; first < n; first++) {
    for (let iteration = 0; iteration < MOST_ITERATIONS; iteration++) {
      let last = first;
      while (last < n - 1 && Math.abs(e[last]!) > Number.EPSILON * (Math.abs(d[last]!) + Math.abs(d[last + 1]!)))
        last++;
      if (last === first) break;
      sweep(d, e, vectors, n, first, last);
    }
  }
}

/** One QL iteration on the unreduced part from `first` to `last`, with Wilkinson's shift. */
function sweep(d: Float64Array, e: Float64Array, vectors: Float64Array, n: number, first: number, last: number): void {
  const half = (d[first + 1]! - d[first]!) / (2 * e[first]!);
  const root = Math.sqrt(half * half + 1);
  let g = d[last]! - d[first]! + e[first]! / (half + (half < 0 ? -root : root));
  let [sine, cosine, moved] = [1, 1, 0];
  for (let i = last - 1; i >= first; i--) {
    const f = sine * e[i]!;
    const b = cosine * e[i]!;
    const r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) {
      // The part falls into two.
      d[i + 1]! -= moved;
      e[last] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[i + 1]! - moved;
    const turn = (d[i]! - g) * sine + 2 * cosine * b;
    moved = sine * turn;
    d[i + 1] = g + moved;
    g = cosine * turn - b;
    rotate(vectors.subarray(i * n, (i + 1) * n), vectors.subarray((i + 1) * n, (i + 2) * n), cosine, sine);
  }
  d[first]! -= moved;
  e[first] = g;
  e[last] = 0;
}

function rotate(x: Float64Array, y: Float64Array, cosine: number, sine: number): void {
  for (let i = 0; i < x.length; i++) {
    const [l, r] = [x[i]!, y[i]!];
    x[i] = cosine * l - sine * r;
    y[i] = sine * l + cosine * r;
  }
}
