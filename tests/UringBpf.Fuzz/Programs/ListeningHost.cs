using System.Runtime.InteropServices;
using UringBpf.Runtime;

namespace UringBpf.Fuzz;

/// <summary>
/// The host of completion hooks, and whoever reads what programs print: it remembers everything it is told, and answers by
/// that alone, so that two engines hear the same as long as they say the same. One for each thread.
/// </summary>
internal static unsafe class ListeningHost
{
    private const int ArenaBytes = 1024;

    [ThreadStatic]
    private static ulong t_heard;
    [ThreadStatic]
    private static int t_given;
    [ThreadStatic]
    private static byte* t_arena;

    static ListeningHost()
    {
        Host = (HookHost*)NativeMemory.AllocZeroed((nuint)sizeof(HookHost));
        Host->Submit = &Submit;
        Host->Cancel = &Cancel;
        Host->Emit = &Emit;
        Host->Buffer = &Buffer;
        Host->HoldBuffer = &HoldBuffer;
        Host->Timeout = &Timeout;
        Host->Handover = &Handover;
        Host->ReleaseBuffer = &ReleaseBuffer;
        Host->Fork = &Fork;
        Host->Join = &Join;
        Host->Message = &Message;
        Host->CancelFile = &CancelFile;
        Host->CancelAll = &CancelAll;
        TextFunctions.Sink = Print;
    }

    /// <summary>For <see cref="ExecutionState.Host"/>.</summary>
    public static HookHost* Host { get; }

    /// <summary>All that the run has said, as one number.</summary>
    public static ulong Heard => t_heard;

    /// <summary>The memory that the run was given.</summary>
    public static ReadOnlySpan<byte> Given => new(t_arena, t_given);

    /// <summary>A run begins.</summary>
    public static void Reset()
    {
        if (t_arena == null) t_arena = (byte*)NativeMemory.AlignedAlloc(ArenaBytes, 64);
        new Span<byte>(t_arena, ArenaBytes).Clear();
        t_heard = 0;
        t_given = 0;
    }

    private static void Hear(ulong word) => t_heard = (t_heard ^ word) * 0x9e3779b97f4a7c15 ^ t_heard >> 29;

    private static void Hear(ReadOnlySpan<byte> bytes)
    {
        Hear((ulong)bytes.Length);
        foreach (var one in bytes) Hear(one);
    }

    private static void Print(ReadOnlySpan<byte> text) => Hear(text);

    private static int Answer(int call, ulong a = 0, ulong b = 0, ulong c = 0)
    {
        Hear((ulong)call);
        Hear(a);
        Hear(b);
        Hear(c);
        return (t_heard >> 61) switch { 0 => -22, 1 => -16, _ => 0 };
    }

    private static int Submit(ExecutionState* state, byte* operation, uint size)
    {
        Hear(new ReadOnlySpan<byte>(operation, (int)size));
        return Answer(1);
    }

    private static int Cancel(ExecutionState* state, ulong userData) => Answer(2, userData);

    private static int Emit(ExecutionState* state, ulong userData, ulong value) => Answer(3, userData, value);

    private static byte* Buffer(ExecutionState* state, uint index, ulong offset, ulong size)
    {
        if (Answer(4, index, offset, size) != 0 || size > (ulong)(ArenaBytes - t_given)) return null;
        t_given += (int)size;
        return t_arena + t_given - (int)size;
    }

    private static int HoldBuffer(ExecutionState* state) => Answer(5);

    private static int Timeout(ExecutionState* state, ulong nanoseconds, ulong userData) => Answer(6, nanoseconds, userData);

    private static int Handover(ExecutionState* state, uint slot) => Answer(7, slot);

    private static int ReleaseBuffer(ExecutionState* state, uint buffer) => Answer(8, buffer);

    private static int Fork(ExecutionState* state, uint counter, uint count) => Answer(9, counter, count);

    private static int Join(ExecutionState* state, uint counter) => Answer(10, counter) is var status && status < 0 ? status : (int)(t_heard >> 58);

    private static int Message(ExecutionState* state, uint target, ulong userData, ulong value) => Answer(11, target, userData, value);

    private static int CancelFile(ExecutionState* state, uint slot) => Answer(12, slot);

    private static int CancelAll(ExecutionState* state) => Answer(13);
}
