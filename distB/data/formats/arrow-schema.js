// An Arrow schema, and where a column's buffers are among those of a record batch.
import { LowrankError } from "../../base/errors.js";
import { check } from "./damage.js";
import { noColumn } from "./format.js";
/** Types by their number in Arrow, with the buffers that a column of each has besides those of its children. */
const TYPES = [
    { name: "nothing", buffers: 0 },
    { name: "null", buffers: 0 },
    { name: "int", buffers: 2 },
    { name: "float", buffers: 2 },
    { name: "binary", buffers: 3 },
    { name: "utf8", buffers: 3 },
    { name: "bool", buffers: 2 },
    { name: "decimal", buffers: 2 },
    { name: "date", buffers: 2 },
    { name: "time", buffers: 2 },
    { name: "timestamp", buffers: 2 },
    { name: "interval", buffers: 2 },
    { name: "list", buffers: 2 },
    { name: "struct", buffers: 1 },
    { name: "union", buffers: 1 },
    { name: "fixed_size_binary", buffers: 2 },
    { name: "fixed_size_list", buffers: 1 },
    { name: "map", buffers: 2 },
    { name: "duration", buffers: 2 },
    { name: "large_binary", buffers: 3 },
    { name: "large_utf8", buffers: 3 },
    { name: "large_list", buffers: 2 },
    { name: "run_end_encoded", buffers: 0 },
    { name: "binary_view", buffers: 2, isView: true },
    { name: "utf8_view", buffers: 2, isView: true },
    { name: "list_view", buffers: 3 },
    { name: "large_list_view", buffers: 3 },
];
const UNION = 14;
/** The version of the metadata since which unions have no bitmap of nulls. */
const V5 = 4;
const TEXTS = { 5: "utf8", 20: "large_utf8", 24: "utf8_view" };
const DEEPEST = 64;
const MOST_FIELDS = 100_000;
function typeOf(field) {
    const number = field.byte(2);
    const type = TYPES[number];
    check(type !== undefined && number > 0, `a column has an unknown type, ${number}`);
    return { number, ...type };
}
class Layout {
    version;
    extent = { nodes: 0, buffers: 0, views: 0 };
    #fields = 0;
    constructor(version) {
        this.version = version;
    }
    /** Passes over a column with its children. */
    add(field, depth = 0) {
        // A damaged schema may lead to one field again and again.
        check(depth < DEEPEST && ++this.#fields <= MOST_FIELDS, "its columns are nested too deep");
        this.extent.nodes++;
        if (field.table(4) !== undefined) {
            this.extent.buffers += 2;
            return;
        }
        const { number, buffers, isView } = typeOf(field);
        this.extent.buffers += buffers;
        if (isView)
            this.extent.views++;
        if (number === UNION)
            this.extent.buffers += (field.table(3)?.int16(0) === 1 ? 1 : 0) + (this.version < V5 ? 1 : 0);
        for (const child of field.tables(5))
            this.add(child, depth + 1);
    }
}
/**
 * @param version of the metadata
 * @throws LowrankError E_TEXT_COLUMN, E_DATA_ROW for a column that holds no texts, Damage
 */
export function findColumn(schema, version, name, file) {
    if (schema.int16(0) !== 0) {
        const message = `${file} has its numbers in big-endian order. Write it on a little-endian machine.`;
        throw new LowrankError("E_ARROW", message, file);
    }
    const fields = schema.tables(1);
    check(fields.length <= MOST_FIELDS, `it has ${fields.length} columns`);
    const layout = new Layout(version);
    for (const field of fields) {
        if (field.text(0) !== name) {
            layout.add(field);
            continue;
        }
        const type = typeOf(field);
        const text = TEXTS[type.number];
        if (text === undefined) {
            throw new LowrankError("E_DATA_ROW", `${file}: column "${name}" is of ${type.name}, expected texts.`, file);
        }
        const encoding = field.table(4);
        if (encoding === undefined)
            return { type: text, before: layout.extent };
        const index = encoding.table(1);
        // Without a type of its own the index is a signed number of 32 bits.
        const indexBytes = (index?.int32(0) ?? 32) / 8;
        check([1, 2, 4, 8].includes(indexBytes), `a dictionary's index has ${indexBytes * 8} bits`);
        const isSigned = index === undefined || index.byte(1) !== 0;
        return { type: text, before: layout.extent, dictionary: { id: encoding.int64(0), indexBytes, isSigned } };
    }
    throw noColumn(file, name, fields.map((field) => field.text(0)), file);
}
