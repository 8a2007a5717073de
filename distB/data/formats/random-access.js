// Ranged reads of a file.
import { open } from "node:fs/promises";
import { readError, requireRegular, TO_READ } from "../../base/system-errors.js";
import { check } from "./damage.js";
export class RandomAccess {
    file;
    size;
    handle;
    constructor(file, size, handle) {
        this.file = file;
        this.size = size;
        this.handle = handle;
    }
    /** @throws LowrankError E_FILE_MISSING, E_FILE */
    static async open(file) {
        let handle;
        try {
            handle = await open(file, TO_READ);
            const stats = await handle.stat();
            requireRegular(stats, file, "Data file");
            return new RandomAccess(file, stats.size, handle);
        }
        catch (error) {
            await handle?.close();
            throw readError(error, file, "Data file");
        }
    }
    /** Bytes from `start` to before `end`. @throws Damage where they are not all within the file */
    async read(start, end) {
        check(start >= 0 && start <= end && end <= this.size, `bytes ${start} to ${end} are not within its ${this.size}`);
        const bytes = Buffer.allocUnsafe(end - start);
        let done = 0;
        while (done < bytes.length) {
            let got;
            try {
                got = (await this.handle.read(bytes, done, bytes.length - done, start + done)).bytesRead;
            }
            catch (error) {
                throw readError(error, this.file, "Data file");
            }
            check(got > 0, "it became shorter while it was read");
            done += got;
        }
        return bytes;
    }
    close() {
        return this.handle.close();
    }
}
