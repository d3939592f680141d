using System.Diagnostics;
using System.Diagnostics.Tracing;
using System.Globalization;
using System.Reflection.Emit;

namespace UringBpf.Compiler;

/// <summary>What the runtime says about a method it compiled.</summary>
/// <param name="Size">Bytes of machine code.</param>
/// <param name="FullyOptimized">False when RyuJIT gave up optimising (MinOpts) or did not try.</param>
internal readonly record struct MethodCode(int Size, bool FullyOptimized);

/// <summary>
/// Learns where machine code is from the runtime's own events (provider Microsoft-Windows-DotNETRuntime, keyword JIT).
/// Make it before compiling; events come some milliseconds after the code. Some may be lost while other listeners come and go.
/// Code that was collected leaves its address, and what was said of it, to code that is compiled later: where that matters, names tell
/// the two apart.
/// </summary>
internal sealed class MethodCodeListener : EventListener
{
    private const EventKeywords JitKeyword = (EventKeywords)0x10;
    private const int WaitMilliseconds = 3000;
    // MethodFlags, bits 7..9: the optimisation tier. 2 is "optimized", what dynamic methods get.
    private const int TierShift = 7, TierMask = 7, Optimized = 2;

    private readonly Dictionary<(ulong Address, string Name), MethodCode> _codes = [];

    /// <summary>The machine code of a method whose name no other one ever had, or null when no event for it came in time.</summary>
    public unsafe byte[]? Wait(DynamicMethod method)
    {
        var code = Find(method) is { } found ? new ReadOnlySpan<byte>((void*)DynamicCode.Pointer(method), found.Size).ToArray() : null;
        GC.KeepAlive(method);
        return code;
    }

    /// <summary>What is known of the code of a method; waits for its event.</summary>
    public MethodCode? Find(DynamicMethod method)
    {
        var start = Stopwatch.GetTimestamp();
        var address = DynamicCode.Pointer(method);
        while (true)
        {
            lock (_codes)
            {
                if (_codes.TryGetValue(((ulong)address, method.Name), out var code)) return code;
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
        var name = Convert.ToString(eventData.Payload[names.IndexOf("MethodName")], CultureInfo.InvariantCulture)!;
        var flags = Convert.ToUInt32(eventData.Payload[names.IndexOf("MethodFlags")]);
        lock (_codes) _codes[(address, name)] = new MethodCode(size, (flags >> TierShift & TierMask) == Optimized);
    }
}
