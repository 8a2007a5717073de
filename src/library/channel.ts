export interface ChannelHooks {
  /** The reader has a value, and the task waits. */
  taken(): void;
  /** The reader asks for the next one, and the task goes on when the promise resolves. */
  asked(): Promise<void>;
  /** The reader has left before the end. */
  left(): void;
}

/**
 * Hands values from a task to an async iterator, one at a time: the task goes on when the reader asks for the next.
 * Ending the iterator early tells the task, and waits for it.
 * @param task hands a value over with `put`, whose promise resolves when the task may go on
 */
export async function* channel<T, R>(
  task: (put: (value: T) => Promise<void>) => Promise<R>,
  hooks: ChannelHooks,
): AsyncGenerator<T, R, undefined> {
  const values: T[] = [];
  let goOn = () => {};
  let wake = () => {};
  let settled = false;
  let left = false;
  const put = (value: T) =>
    new Promise<void>((resolve) => {
      if (left) return resolve();
      values.push(value);
      goOn = resolve;
      wake();
    });
  const running = task(put).finally(() => {
    settled = true;
    wake();
  });
  // Awaited below; until then its failure is nobody's.
  running.catch(() => {});
  let finished = false;
  try {
    for (;;) {
      if (values.length > 0) {
        hooks.taken();
        yield values.shift()!;
        await hooks.asked();
        goOn();
      } else if (settled) {
        finished = true;
        return await running;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    if (!finished) {
      left = true;
      hooks.left();
      goOn();
      await running.catch(() => {});
    }
  }
}
