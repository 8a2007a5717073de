import type { GenericFormatter } from "cli-progress";
/** Whether a bar can be shown: on a terminal, and not in a build's log. */
export declare function showsBar(stream?: NodeJS.WriteStream): boolean;
/** A bar of one line: a second one would stay when the bar is drawn again. What matters least is cut off. */
export declare function oneLine(formatter: GenericFormatter, columns: () => number | undefined): GenericFormatter;
/** The progress bar at the foot of the terminal, or nothing where there is none. */
export declare class Progress {
    #private;
    private constructor();
    /** @param shows whether there is a terminal to draw on; without one nothing is loaded */
    static open(shows: boolean): Promise<Progress>;
    get shown(): boolean;
    start(task: string, total: number): void;
    update(done: number, note?: string): void;
    stop(): void;
    /** Makes room for a line of text; the bar is drawn again below it. */
    clearLine(): void;
}
