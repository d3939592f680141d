using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// A program that starts on the interpreter and goes on as machine code once a background thread has compiled it. Runs in
/// progress finish where they are; each later run takes the code that is ready when it starts.
/// </summary>
[RequiresDynamicCode("Compiles at run time; hosts without dynamic code get an interpreter from ProgramCompiler.Compile.")]
public sealed unsafe class TieredProgram : BpfProgram
{
    // What a run enters: two words that belong together, so a pointer to them is switched.
    [StructLayout(LayoutKind.Sequential)]
    private struct Tier
    {
        public delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint;
        public nint Self;
    }

    private readonly Lock _gate = new();
    private readonly BpfProgram _interpreter;
    // [0] the interpreter, [1] the compiled code. Pinned; the cell holds the address of the one in use.
    private readonly Tier[] _tiers = GC.AllocateArray<Tier>(2, pinned: true);
    private readonly nint[] _cell = GC.AllocateArray<nint>(1, pinned: true);
    private BpfProgram? _compiled;
    private bool _disposed;

    internal TieredProgram(BpfProgram interpreter, Func<BpfProgram> compile)
        : base(interpreter.Verified, interpreter.Maps)
    {
        _interpreter = interpreter;
        Use(0, interpreter);
        // Compiling reads the maps: they stay until it has ended, even if the program and its maps are disposed before that.
        interpreter.Retain();
        Compilation = Task.Run(() =>
        {
            try
            {
                Finish(compile());
            }
            finally
            {
                interpreter.Release();
            }
        });
    }

    /// <summary>Ends when the program runs as machine code. When it fails (UB3001), the program stays on the interpreter.</summary>
    public Task Compilation { get; }

    /// <summary><c>interpreter</c>, and <c>jit</c> once <see cref="Compilation"/> has ended.</summary>
    public override string Engine => Volatile.Read(ref _compiled) is { } compiled ? compiled.Engine : _interpreter.Engine;

    /// <inheritdoc />
    /// <remarks>Stays the same when the tier changes: it costs one jump more than the compiled program's own.</remarks>
    public override delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint => &Enter;

    /// <inheritdoc />
    public override nint Self => Marshal.UnsafeAddrOfPinnedArrayElement(_cell, 0);

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        BpfProgram? compiled;
        lock (_gate)
        {
            _disposed = true;
            compiled = _compiled;
        }
        _interpreter.Dispose();
        compiled?.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ulong Enter(nint self, byte* context, ulong length, ExecutionState* state)
    {
        var tier = (Tier*)Volatile.Read(ref *(nint*)self);
        return tier->EntryPoint(tier->Self, context, length, state);
    }

    private void Finish(BpfProgram compiled)
    {
        lock (_gate)
        {
            if (!_disposed)
            {
                Use(1, compiled);
                Volatile.Write(ref _compiled, compiled);
                return;
            }
        }
        compiled.Dispose();
    }

    private void Use(int tier, BpfProgram program)
    {
        _tiers[tier] = new Tier { EntryPoint = program.EntryPoint, Self = program.Self };
        Volatile.Write(ref _cell[0], Marshal.UnsafeAddrOfPinnedArrayElement(_tiers, tier));
    }
}
