// What the binary formats share: one column of texts, read from ranges of the file.
import { isUtf8 } from "node:buffer";
import { LowrankError } from "../../base/errors.js";
import { damageError } from "./damage.js";
import { RandomAccess } from "./random-access.js";
/** What a gzip file begins with. */
const GZIP = Buffer.from([0x1f, 0x8b]);
const MOST_ROWS_AT_A_TIME = 1024;
/**
 * @param kind what the files are called in an error: "Parquet"
 * @param read the texts of a column, some rows at a time; throws Damage where the bytes are broken
 */
export function columnar(kind, extensions, read) {
    async function* rows(file, column) {
        const source = await RandomAccess.open(file);
        let at = 0;
        const decode = (bytes) => {
            if (isUtf8(bytes))
                return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
            const message = `${file}: a text of column "${column}" after row ${at} is not valid UTF-8. Write it again.`;
            throw new LowrankError("E_UTF8", message, file);
        };
        try {
            const start = await source.read(0, Math.min(GZIP.length, source.size));
            if (start.equals(GZIP)) {
                const message = `${file} is packed as a whole with gzip, which a ${kind} file must not be. Unpack it with gunzip.`;
                throw new LowrankError(`E_${kind.toUpperCase()}`, message, file);
            }
            for await (const texts of read(source, column, decode)) {
                for (let i = 0; i < texts.length; i += MOST_ROWS_AT_A_TIME) {
                    yield texts.slice(i, i + MOST_ROWS_AT_A_TIME).map((one) => ({ value: one, at: ++at }));
                }
            }
        }
        catch (error) {
            throw damageError(error, file, kind);
        }
        finally {
            await source.close();
        }
    }
    return { extensions, gzip: false, unit: "row", read: (file, options) => rows(file, options.column) };
}
