namespace UringBpf.Ring.Tests;

/// <summary>Measures what the owner of a ring allocates once everything is warm.</summary>
internal static class SteadyState
{
    /// <summary>
    /// Managed bytes that the ring's owner allocated in the cheapest of four equal rounds. What work costs, each round pays;
    /// but now and then the runtime doubles a table of its own (that of casts is a managed array) on whichever thread happens to
    /// ask next, and the first rounds fill the ring's pools. Asking itself takes 64 bytes on the owner.
    /// </summary>
    public static async Task<long> BytesOnOwner(Ring ring, Func<Task> round)
    {
        var least = long.MaxValue;
        for (var i = 0; i < 4; i++)
        {
            long before = 0, after = 0;
            await ring.RunOnOwner(() => before = GC.GetAllocatedBytesForCurrentThread());
            await round();
            await ring.RunOnOwner(() => after = GC.GetAllocatedBytesForCurrentThread());
            least = Math.Min(least, after - before);
        }
        return least;
    }
}
