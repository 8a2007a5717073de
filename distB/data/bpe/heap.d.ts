/** A binary heap of numbers, the smallest first. */
export declare class MinHeap {
    #private;
    push(value: number): void;
    pop(): number | undefined;
}
