/** Where texts have come from, for those that cannot be read again. */
export class Places {
    #runs = [];
    #count = 0;
    add(file, unit, at) {
        const last = this.#runs.at(-1);
        const follows = last?.file === file && last.at + this.#count - last.first === at;
        if (!follows)
            this.#runs.push({ first: this.#count, file, unit, at });
        this.#count++;
    }
    /** Of the n-th text, counted from 0: "/dev/stdin, line 12". */
    of(n) {
        const { file, unit, at, first } = this.#runs.findLast((run) => run.first <= n);
        return `${file}, ${unit} ${at + n - first}`;
    }
}
