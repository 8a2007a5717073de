/**
 * The same values, made up to `ahead` of them before they are asked for. An error comes where its value would have come;
 * leaving the loop early waits for what is in progress and ends the source.
 */
export async function* prefetch<T>(source: AsyncIterable<T>, ahead: number): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const queue: Promise<IteratorResult<T>>[] = [];
  // A generator runs one request after the other; an error that nobody awaits yet must not count as unhandled.
  const request = () => {
    const result = iterator.next();
    result.catch(() => undefined);
    queue.push(result);
  };
  let finished = false;
  try {
    for (;;) {
      while (queue.length <= ahead) request();
      const { done, value } = await queue.shift()!;
      if (done) break;
      yield value;
    }
    finished = true;
  } finally {
    if (!finished) await iterator.return?.();
    await Promise.allSettled(queue);
  }
}
