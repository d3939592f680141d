using System.Diagnostics;
using System.Diagnostics.Tracing;

namespace UringBpf.Compiler;

/// <summary>What the runtime says about a method it compiled.</summary>
/// <param name="Size">Bytes of machine code.</param>
/// <param name="FullyOptimized">False when RyuJIT gave up optimising (MinOpts) or did not try.</param>
internal readonly record struct MethodCode(int Size, bool FullyOptimized);

/// <summary>
/// Learns where machine code is from the runtime's own events (provider Microsoft-Windows-DotNETRuntime, keyword JIT).
/// Make it before compiling; events come some milliseconds after the code. Some may be lost while other listeners come and go.
/// </summary>
internal sealed class MethodCodeListener : EventListener
{
    private const EventKeywords JitKeyword = (EventKeywords)0x10;
    private const int WaitMilliseconds = 3000;
    // MethodFlags, bits 7..9: the optimisation tier. 2 is "optimized", what dynamic methods get.
    private const int TierShift = 7, TierMask = 7, Optimized = 2;

    private readonly Dictionary<ulong, MethodCode> _codes = [];

    /// <summary>The machine code at an address, or null when no event for it came in time.</summary>
    public unsafe byte[]? Wait(nint address) =>
        Find(address) is { } code ? new ReadOnlySpan<byte>((void*)address, code.Size).ToArray() : null;

    /// <summary>What is known of the code at an address; waits for its event.</summary>
    public MethodCode? Find(nint address)
    {
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            lock (_codes)
            {
                if (_codes.TryGetValue((ulong)address, out var code)) return code;
            }
            if (Stopwatch.GetElapsedTime(start).TotalMilliseconds > WaitMilliseconds) return null;
            Thread.Sleep(1);
        }
    }

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == "Microsoft-Windows-DotNETRuntime") EnableEvents(eventSource, EventLevel.Verbose, JitKeyword);
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        if (eventData.EventName?.StartsWith("MethodLoadVerbose", StringComparison.Ordinal) != true) return;
        var names = eventData.PayloadNames!;
        var address = Convert.ToUInt64(eventData.Payload![names.IndexOf("MethodStartAddress")]);
        var size = Convert.ToInt32(eventData.Payload[names.IndexOf("MethodSize")]);
        var flags = Convert.ToUInt32(eventData.Payload[names.IndexOf("MethodFlags")]);
        lock (_codes) _codes[address] = new MethodCode(size, (flags >> TierShift & TierMask) == Optimized);
    }
}
