using System.ComponentModel;
using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>
/// What the register of a callback argument (a subprogram loaded with a 64-bit immediate of kind function) points to. Native
/// memory that the engine makes and keeps as long as its program; functions that call back (bpf_loop,
/// bpf_for_each_map_elem) work with any engine through it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
[EditorBrowsable(EditorBrowsableState.Never)]
public unsafe struct CallbackTarget
{
    /// <summary>
    /// (<see cref="Self"/>, r1, r2, r3, r4, caller's frame, state) → r0. The callback's r10 is the caller's frame minus
    /// <see cref="Bytecode.Limits.StackBytesPerFrame"/>. After it returns, the function looks at
    /// <see cref="ExecutionState.Fault"/> and stops calling when the run has failed.
    /// </summary>
    public delegate*<nint, ulong, ulong, ulong, ulong, byte*, ExecutionState*, ulong> Invoke;

    /// <summary>First argument of <see cref="Invoke"/>: the engine's own.</summary>
    public nint Self;
}

/// <summary>A function of an interpreted program as a callback: what its address in the program is, and what Self is.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct DecodedCallback
{
    public CallbackTarget Target;
    public DecodedInstruction* Start;
    /// <summary>What a metered run pays for each round.</summary>
    public int Cost;
}
