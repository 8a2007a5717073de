import { LowrankError } from "../base/errors.js";
/** Lets one thing happen at a time. */
export class Gate {
    #state = "idle";
    /** To what it goes back when it is no longer working. */
    #before = "idle";
    /** Lets the run go on, where its reader has asked for the next event and something else is in progress. */
    #goOn = null;
    #queue = [];
    #hasRun = false;
    get state() {
        return this.#state;
    }
    /** Whether a run waits for its reader, who may never come back. */
    get isWithReader() {
        const state = this.#state === "working" ? this.#before : this.#state;
        return state === "paused" && this.#goOn === null;
    }
    /** @throws LowrankError E_BUSY, E_STATE, E_BROKEN, E_CLOSED */
    beginRun() {
        this.#refuse("run");
        if (this.#state !== "idle")
            throw busy("run", this.#state);
        if (this.#hasRun) {
            throw new LowrankError("E_STATE", "run: this trainer has run. Make another one, with init_adapter to go on from an adapter or resume to go on from a checkpoint.");
        }
        this.#hasRun = true;
        this.#state = "running";
    }
    /** An event is with its reader. */
    pause() {
        if (this.#state !== "running")
            return;
        this.#state = "paused";
        this.#admit();
    }
    /** The reader has asked for the next event. @returns when nothing else is in progress */
    async resume() {
        if (this.#state === "paused")
            this.#state = "running";
        if (this.#state !== "working" || this.#before !== "paused")
            return;
        await new Promise((resolve) => {
            this.#goOn = resolve;
        });
    }
    /** The reader has left: the run ends without another step. */
    leave() {
        if (this.#state === "paused")
            this.#state = "running";
        else if (this.#state === "working" && this.#before === "paused")
            this.#before = "running";
    }
    endRun(isBroken) {
        const next = isBroken ? "broken" : "idle";
        if (this.#state === "working")
            this.#before = next;
        else if (this.#state !== "closed")
            this.#state = next;
        this.#admit();
    }
    /** Takes the trainer for something that a run must not be in the middle of. @returns a function that gives it back */
    enter(method) {
        this.#refuse(method);
        if (this.#state !== "idle" && this.#state !== "paused")
            throw busy(method, this.#state);
        return this.#take(this.#state);
    }
    /**
     * The same, as soon as no step and nothing else is in progress. Each pause of a run lets in one of those who wait, and
     * others until the run's reader asks for the next event.
     * @returns null where the signal was raised before
     */
    async enterLater(method, signal) {
        this.#refuse(method);
        if (signal?.aborted)
            return null;
        if (this.#state === "idle" || this.#state === "paused")
            return this.enter(method);
        return new Promise((resolve, fail) => {
            const entry = { method, enter: resolve, fail };
            const enter = (leave) => {
                signal?.removeEventListener("abort", onAbort);
                resolve(leave);
            };
            const onAbort = () => {
                this.#queue.splice(this.#queue.indexOf(entry), 1);
                enter(null);
            };
            entry.enter = enter;
            signal?.addEventListener("abort", onAbort);
            this.#queue.push(entry);
        });
    }
    #take(before) {
        this.#state = "working";
        this.#before = before;
        let isHeld = true;
        return () => {
            if (!isHeld || this.#state !== "working")
                return;
            isHeld = false;
            this.#state = this.#before;
            const goOn = this.#goOn;
            this.#goOn = null;
            if (goOn && this.#state === "paused")
                this.#state = "running";
            goOn?.();
            this.#admit();
        };
    }
    /** Lets in the next one who waits, if that may be. */
    #admit() {
        if (this.#state === "broken" || this.#state === "closed") {
            for (const { method, fail } of this.#queue.splice(0)) {
                try {
                    this.#refuse(method);
                }
                catch (error) {
                    fail(error);
                }
            }
        }
        else if (this.#state === "idle" || this.#state === "paused") {
            this.#queue.shift()?.enter(this.#take(this.#state));
        }
    }
    /** @returns whether it was open */
    close() {
        const wasOpen = this.#state !== "closed";
        this.#state = "closed";
        this.#goOn?.();
        this.#goOn = null;
        this.#admit();
        return wasOpen;
    }
    #refuse(method) {
        if (this.#state === "closed")
            throw new LowrankError("E_CLOSED", `${method}: the trainer is closed.`);
        if (this.#state === "broken") {
            throw new LowrankError("E_BROKEN", `${method}: the trainer's run has failed. Close it, and make another one.`);
        }
    }
}
function busy(method, state) {
    const why = {
        running: "a run is in progress: call it while handling one of the run's events, or after the run",
        paused: "a run is in progress",
        working: "another call is in progress: wait for it",
    };
    return new LowrankError("E_BUSY", `${method}: ${why[state]}.`);
}
