using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>
/// Runs any bytecode, verified or not: every register read, memory access, jump and call argument is checked against what
/// the program was given, and the instructions are counted. The safe way to run unverified bytecode, and the oracle of the
/// verifier and of the other engines. One run at a time for each instance.
/// </summary>
public sealed unsafe partial class CheckedInterpreter : IDisposable
{
    private readonly ProgramSpec _spec;
    private readonly ContextLayout _layout;
    private readonly MapSet _maps;
    private readonly FunctionRegistry _functions;
    private readonly OpcodeRow?[] _rows;
    // One for each slot, and two behind them that can't be run: execution that leaves the program ends there.
    private readonly CheckedInstruction* _code;
    private readonly ulong _codeBytes;
    private readonly CheckedMemory _memory = new();
    private readonly GCHandle _self;
    private readonly CheckedCallback* _callbacks;
    private readonly int _callbackCount;
    private readonly HashSet<ulong> _mapAddresses = [];
    private readonly HashSet<ulong> _records = [];
    private ExecutionState* _state;
    // The map whose entries a callback is shown: their keys and values become the program's memory.
    private MapHeader* _walked;
    private long _left;
    // Whether the function that returned last left something in r0.
    private bool _returnsValue;
    private bool _disposed;

    /// <summary>A function of the program as helpers call it back: the target they know, and where it starts.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct CheckedCallback
    {
        public CallbackTarget Target;
        public nint Interpreter;
        public int Start;
    }

    /// <summary>Prepares a program.</summary>
    /// <param name="spec">The program; its type says what its context is. No verifier needs to have seen it.</param>
    /// <param name="maps">The maps its instructions name; null for none.</param>
    /// <param name="functions">Helpers and kfuncs; null for <see cref="FunctionRegistry.BuiltIn"/>.</param>
    public CheckedInterpreter(ProgramSpec spec, MapSet? maps = null, FunctionRegistry? functions = null)
    {
        _spec = spec;
        _layout = (spec.Type ?? ProgramTypes.Raw).Context;
        _maps = maps ?? MapSet.Empty;
        _functions = functions ?? FunctionRegistry.BuiltIn;
        var slots = spec.Instructions.Length;
        _rows = new OpcodeRow?[slots];
        _code = (CheckedInstruction*)NativeMemory.AllocZeroed((nuint)slots + 2, (nuint)sizeof(CheckedInstruction));
        _codeBytes = (ulong)slots * (ulong)sizeof(CheckedInstruction);
        _code[slots].Code = _code[slots + 1].Code = Code.Invalid;
        var starts = new SortedSet<int>();
        for (var slot = 0; slot < slots; slot++)
        {
            var row = _rows[slot] = OpcodeTable.Find(spec.Instructions[slot]);
            _code[slot] = spec.Poisoned.ContainsKey(slot) ? new() { Code = Code.Invalid } : CheckedInstruction.Decode(row, spec.Instructions, slot);
            if (row is { Operation: Operation.LoadImmediate64, Wide: WideKind.Function }) starts.Add(slot + 1 + spec.Instructions[slot].Immediate);
            // The second slot of a wide immediate is no instruction: its row stays null, so that a jump into it faults.
            if (row is { Slots: 2 } && slot + 1 < slots) _code[++slot].Code = Code.Invalid;
        }
        _self = GCHandle.Alloc(this, GCHandleType.Weak);
        _callbackCount = starts.Count;
        _callbacks = (CheckedCallback*)NativeMemory.AllocZeroed((nuint)Math.Max(1, starts.Count), (nuint)sizeof(CheckedCallback));
        var next = _callbacks;
        foreach (var start in starts)
        {
            next->Interpreter = GCHandle.ToIntPtr(_self);
            next->Start = start;
            next->Target.Self = (nint)next;
            next->Target.Invoke = &Invoke;
            next++;
        }
    }

    /// <summary>The program.</summary>
    public ProgramSpec Spec => _spec;

    /// <summary>Instructions a run may execute before it faults. Default <see cref="Limits.MaxInstructionsPerRun"/>.</summary>
    public long InstructionBudget { get; init; } = Limits.MaxInstructionsPerRun;

    /// <summary>Called before each instruction; null for none.</summary>
    public CheckedObserver? Observer { get; init; }

    /// <summary>Runs the program on a context.</summary>
    /// <param name="context">The context as the host lays it out, or flat memory. The program may write to it.</param>
    /// <param name="regions">More memory the program may use, such as what pointers in the context point to; a completion's or
    /// packet's buffer is found by itself.</param>
    /// <exception cref="BpfException">UB4002 when the context is shorter than the program's type says.</exception>
    /// <exception cref="KeyNotFoundException">The maps lack one of the program's.</exception>
    /// <exception cref="ObjectDisposedException">The interpreter or its maps were disposed.</exception>
    public CheckedResult Run(Span<byte> context, params ReadOnlySpan<MemoryRegion> regions)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_layout.IsFlat && context.Length < _layout.HostSize)
            throw new BpfException("UB4002", $"{_spec.Name}: the context is {context.Length} bytes, its type has {_layout.HostSize}.");
        var state = _state = ExecutionSlot.Idle(_spec.Name);
        // For this run: an interpreter need not be disposed, and a reference of its own would keep the maps.
        _maps.Retain();
        _left = InstructionBudget;
        fixed (byte* pointer = context)
        {
            try
            {
                state->Reset(InstructionBudget);
                state->SetContext(_spec.Type ?? ProgramTypes.Raw, pointer, (ulong)context.Length);
                _memory.Reset(state->StackTop, (ulong)state->Context, _layout.IsFlat ? 0 : (ulong)_layout.Size);
                _walked = null;
                _mapAddresses.Clear();
                _records.Clear();
                AddRegions(pointer, (nuint)context.Length, regions);
                var r = stackalloc ulong[11];
                r[1] = (ulong)pointer;
                r[2] = (ulong)context.Length;
                r[10] = (ulong)state->StackTop;
                var initialised = 1 << 1 | 1 << 10 | ((_spec.Type ?? ProgramTypes.Raw).PassesLength ? 1 << 2 : 0);
                _memory.EnterFrame(r[10]);
                var result = RunFunction(0, r, initialised);
                return new CheckedResult(result, InstructionBudget - _left, null);
            }
            catch (CheckedFaultException fault)
            {
                return new CheckedResult(0, InstructionBudget - _left, fault.Fault);
            }
            finally
            {
                state->Leave();
                _maps.Release();
            }
        }
    }

    /// <summary>Frees native memory. The maps are not disposed.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        NativeMemory.Free(_callbacks);
        NativeMemory.Free(_code);
        _self.Free();
    }

    private void AddRegions(byte* context, nuint length, ReadOnlySpan<MemoryRegion> regions)
    {
        if (_layout.IsFlat) _memory.Add(new MemoryRegion("context", (nuint)context, length, true));
        byte* start = null, end = null;
        foreach (var field in _layout.Fields)
        {
            // Loads and stores go by field; this is for functions that the field is passed to.
            if (field.Kind == ContextFieldKind.FlatMemory)
                _memory.Add(new MemoryRegion($"{field.Name} of the context", (nuint)(context + field.HostOffset), (nuint)field.HostSize, field.Access == FieldAccess.ReadWrite));
            if (field.Kind == ContextFieldKind.BufferStart) start = *(byte**)(context + field.HostOffset);
            if (field.Kind == ContextFieldKind.BufferEnd) end = *(byte**)(context + field.HostOffset);
        }
        if (end > start) _memory.Add(new MemoryRegion("buffer", (nuint)start, (nuint)(end - start), _layout.BufferWritable));
        foreach (var region in regions) _memory.Add(region);
        foreach (var map in _spec.Maps)
        {
            var header = _maps[map].Header;
            _mapAddresses.Add((ulong)header);
            // Global data is named by address; other values are memory once a lookup has returned them.
            if (map.Type == MapType.Array)
                _memory.Add(new MemoryRegion($"value of map '{map.Name}'", (nuint)header->Data, (nuint)map.ValueSize, !map.IsFrozen && (map.Flags & MapFlags.ReadOnlyProgram) == 0));
        }
    }

    private static ulong Invoke(nint self, ulong r1, ulong r2, ulong r3, ulong r4, byte* callerFrame, ExecutionState* state)
    {
        var callback = (CheckedCallback*)self;
        var interpreter = (CheckedInterpreter)GCHandle.FromIntPtr(callback->Interpreter).Target!;
        var r = stackalloc ulong[11];
        r[1] = r1;
        r[2] = r2;
        r[3] = r3;
        r[4] = r4;
        r[10] = (ulong)callerFrame - Limits.StackBytesPerFrame;
        var depth = interpreter.Depth(r);
        if (depth >= Limits.Frames) throw Fault("UB4013", callback->Start, 0, $"a callback would be frame {depth + 1} of {Limits.Frames}");
        interpreter._memory.EnterFrame(r[10]);
        if (interpreter._walked is var map && map != null)
        {
            interpreter._memory.AddFound(new MemoryRegion("key", (nuint)r2, map->KeySize, false));
            interpreter._memory.AddFound(new MemoryRegion("map value", (nuint)r3, map->ValueSize, (map->Flags & MapFlags.ReadOnlyProgram) == 0));
        }
        var result = interpreter.RunFunction(callback->Start, r, 1 << 10 | 0b11110);
        // The helper reads it: it says whether to go on.
        if (!interpreter._returnsValue) throw Fault("UB4012", callback->Start, 0, "the callback returns without a value in r0");
        return result;
    }

    private static CheckedFaultException Fault(string code, int slot, ulong address, string message) => new(new CheckedFault(code, slot, address, message));
}
