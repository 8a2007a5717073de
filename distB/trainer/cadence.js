/** The last step ends an epoch, too. */
export function isDue({ strategy, every }, step, perEpoch, total) {
    if (strategy === "no")
        return false;
    return step === total || step % (strategy === "steps" ? every : perEpoch) === 0;
}
