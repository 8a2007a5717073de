/**
 * Hands values from a task to an async iterator, one at a time: the task goes on when the reader asks for the next.
 * Ending the iterator early tells the task, and waits for it.
 * @param task hands a value over with `put`, whose promise resolves when the task may go on
 */
export async function* channel(task, hooks) {
    const values = [];
    let goOn = () => { };
    let wake = () => { };
    let settled = false;
    let left = false;
    const put = (value) => new Promise((resolve) => {
        if (left)
            return resolve();
        values.push(value);
        goOn = resolve;
        wake();
    });
    const running = task(put).finally(() => {
        settled = true;
        wake();
    });
    // Awaited below; until then its failure is nobody's.
    running.catch(() => { });
    let finished = false;
    try {
        for (;;) {
            if (values.length > 0) {
                hooks.taken();
                yield values.shift();
                await hooks.asked();
                goOn();
            }
            else if (settled) {
                finished = true;
                return await running;
            }
            else {
                await new Promise((resolve) => {
                    wake = resolve;
                });
            }
        }
    }
    finally {
        if (!finished) {
            left = true;
            hooks.left();
            goOn();
            await running.catch(() => { });
        }
    }
}
