/** What an adapter or a checkpoint is: everything but its base can be told without the base. */
export declare function inspectAdapter(folder: string, json: boolean): Promise<void>;
