using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// What a tail call needs of its target. <see cref="MapHeader.Data"/> of a program array is an array of MaxEntries pointers
/// to these, null where there is no program. An entry never changes; replacing a program stores another pointer.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct ProgramArrayEntry
{
    /// <summary><see cref="BpfProgram.EntryPoint"/>.</summary>
    public delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint;
    /// <summary><see cref="BpfProgram.Self"/>.</summary>
    public nint Self;
}

/// <summary>
/// Programs that others can tail call. Setting and clearing take effect at once; a run that is inside, or about to enter, a
/// replaced program finishes on it. When the host disposes the map or its set, the array is emptied: tail calls then fail.
/// </summary>
public sealed unsafe class ProgramArrayMap : BpfMap
{
    private readonly Lock _gate = new();
    private readonly BpfProgram?[] _programs;
    private readonly List<VerifiedProgram> _callers = [];

    internal ProgramArrayMap(MapSpec spec) : base(Check(spec, 4, 4, 4, 4, MapFlags.None, 1 << 20), (ulong)spec.MaxEntries * (ulong)sizeof(nint)) =>
        _programs = new BpfProgram?[spec.MaxEntries];

    private ProgramArrayEntry** Entries => (ProgramArrayEntry**)Header->Data;

    /// <summary>The program a tail call goes on in, counted against <see cref="Limits.TailCalls"/>; null when there is none, or no
    /// call is left. For engines.</summary>
    /// <param name="map">Address of the program array's header.</param>
    /// <param name="index">Index; its low 32 bits count.</param>
    /// <param name="state">The run's state.</param>
    public static ProgramArrayEntry* TailCallTarget(ulong map, ulong index, ExecutionState* state)
    {
        var header = (MapHeader*)map;
        if ((uint)index >= header->MaxEntries || state->TailCalls >= Limits.TailCalls) return null;
        // The host may replace the entry at any time: read it once.
        var entry = (ProgramArrayEntry*)Volatile.Read(ref ((nint*)header->Data)[(uint)index]);
        if (entry != null) state->TailCalls++;
        return entry;
    }

    /// <summary>Entries, used or not.</summary>
    public int Length => _programs.Length;

    /// <summary>The program at an index, or null.</summary>
    /// <exception cref="IndexOutOfRangeException">The index is not 0..Length-1.</exception>
    public BpfProgram? this[int index]
    {
        get { lock (_gate) return _programs[index]; }
    }

    /// <summary>Puts a program at an index, or clears it. The array holds a reference: a disposed program stays usable here.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The index is not 0..Length-1.</exception>
    /// <exception cref="BpfException">UB4106 when a program bound to this map could not tail call it: another type, or verified
    /// for a larger context.</exception>
    /// <exception cref="ObjectDisposedException">The map or the program was disposed.</exception>
    public void Set(int index, BpfProgram? program)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _programs.Length);
        var activity = Enter();
        try
        {
            lock (_gate)
            {
                if (program != null)
                {
                    foreach (var caller in _callers) CheckCompatible(caller, program.Verified);
                    program.Retain();
                }
                Exchange(index, program);
            }
        }
        finally
        {
            Leave(activity);
        }
        // What was replaced waited for this very call.
        Reclamation.Collect();
    }

    /// <summary>Notes a program that can tail call through this map.</summary>
    /// <exception cref="BpfException">UB4106 when an entry is not compatible with it.</exception>
    internal void AddCaller(VerifiedProgram caller)
    {
        lock (_gate)
        {
            foreach (var program in _programs)
            {
                if (program != null) CheckCompatible(caller, program.Verified);
            }
            if (!_callers.Any(known => known.Type == caller.Type && known.ContextSize == caller.ContextSize && known.WritesBuffers == caller.WritesBuffers))
                _callers.Add(caller);
        }
    }

    // Programs in the array may hold the array's own set: without this the two would keep each other.
    private protected override void OnDispose()
    {
        lock (_gate)
        {
            for (var i = 0; i < _programs.Length; i++) Exchange(i, null);
        }
    }

    private protected override void OnFree()
    {
        for (var i = 0; i < _programs.Length; i++) NativeMemory.Free(Entries[i]);
    }

    private void Exchange(int index, BpfProgram? program)
    {
        ProgramArrayEntry* entry = null;
        if (program != null)
        {
            entry = (ProgramArrayEntry*)NativeMemory.Alloc((nuint)sizeof(ProgramArrayEntry));
            *entry = new ProgramArrayEntry { EntryPoint = program.EntryPoint, Self = program.Self };
        }
        var old = _programs[index];
        var oldEntry = Entries[index];
        _programs[index] = program;
        Volatile.Write(ref *(nint*)&Entries[index], (nint)entry);
        if (old == null) return;
        Reclamation.Retire(() =>
        {
            NativeMemory.Free(oldEntry);
            old.Release();
        });
    }

    private void CheckCompatible(VerifiedProgram caller, VerifiedProgram target)
    {
        if (caller.Type != target.Type)
            throw new BpfException("UB4106", $"'{Name}': program '{target.Spec.Name}' is of type {target.Type}, its caller '{caller.Spec.Name}' of type {caller.Type}.");
        if (target.ContextSize > caller.ContextSize)
            throw new BpfException("UB4106", $"'{Name}': program '{target.Spec.Name}' was verified for a context of {target.ContextSize} bytes, its caller '{caller.Spec.Name}' for {caller.ContextSize}.");
        if (target.WritesBuffers && !caller.WritesBuffers)
            throw new BpfException("UB4106", $"'{Name}': program '{target.Spec.Name}' writes to its buffers, its caller '{caller.Spec.Name}' may be attached to read-only ones.");
    }
}
