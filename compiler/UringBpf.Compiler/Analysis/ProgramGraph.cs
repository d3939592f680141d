using System.Collections.Immutable;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// A verified program decoded once for the compiler: rows, jump targets, what every instruction reads and writes, and
/// its functions as graphs of basic blocks.
/// </summary>
internal sealed class ProgramGraph
{
    private const int FrameRegister = 10;

    private readonly OpcodeRow[] _rows;
    // What each instruction reads and writes, a bit for each register.
    private readonly ushort[] _reads;
    private readonly ushort[] _writes;
    private readonly CompilerOptions _options;
    private readonly bool _translates;
    private readonly bool[] _inlinable;
    private readonly bool[] _inlines;
    private readonly bool[] _isSplit;

    public ProgramGraph(VerifiedProgram verified, FunctionRegistry functions, CompilerOptions options)
    {
        Verified = verified;
        Registry = functions;
        _options = options;
        _translates = verified.Type.Context.Fields.Any(field => field.IsTranslated);
        Instructions = verified.Spec.Instructions;
        _rows = new OpcodeRow[Instructions.Length];
        for (var slot = 0; slot < Instructions.Length; slot += Slots(slot))
        {
            _rows[slot] = OpcodeTable.Find(Instructions[slot])
                ?? throw new BpfException("UB3001", $"{verified.Spec.Name}: opcode 0x{Instructions[slot].Opcode:x2} has no row in the opcode table.", slot);
        }

        (_reads, _writes) = (new ushort[Instructions.Length], new ushort[Instructions.Length]);
        for (var slot = 0; slot < Instructions.Length; slot += Slots(slot))
        {
            if (!IsReached(slot)) continue;
            _reads[slot] = (ushort)ReadsOf(slot);
            _writes[slot] = (ushort)WritesOf(slot);
        }

        Functions = new FunctionGraph[verified.Subprograms.Length];
        for (var i = 0; i < Functions.Length; i++) Functions[i] = new FunctionGraph(this, i, Math.Min(options.RegionInstructions, MethodSize.MaxBlockSlots));
        (_isSplit, _inlines) = (new bool[Functions.Length], new bool[Functions.Length]);
        _inlinable = FindInlinable();
        // What a call reads depends on the callee, so callees settle first: iterate until nothing changes (calls are not recursive).
        bool changed;
        do
        {
            changed = false;
            foreach (var function in Functions)
            {
                var before = function.LiveAtEntry;
                function.ComputeLiveness();
                changed |= function.LiveAtEntry != before;
            }
        }
        while (changed);
    }

    public VerifiedProgram Verified { get; }
    public FunctionRegistry Registry { get; }
    public ImmutableArray<Instruction> Instructions { get; }
    public FunctionGraph[] Functions { get; }

    /// <summary>The row of the instruction at a slot (not the second slot of a wide immediate).</summary>
    public OpcodeRow Row(int slot) => _rows[slot];

    /// <summary>False for the second slot of a wide immediate.</summary>
    public bool HasRow(int slot) => _rows[slot] is not null;

    public ref readonly InstructionFacts Facts(int slot) => ref Verified.Facts.ItemRef(slot);

    /// <summary>True unless the verifier showed that no path reaches the slot.</summary>
    public bool IsReached(int slot) => !_options.SkipDeadCode || Facts(slot).Reached;

    public int Slots(int slot) => Instructions[slot].IsWide ? 2 : 1;

    /// <summary>The instruction before a slot, not before <paramref name="start"/>.</summary>
    public int Previous(int slot, int start) => slot - 2 >= start && _rows[slot - 1] is null ? slot - 2 : slot - 1;

    /// <summary>The slot a jump goes to, or -1.</summary>
    public int JumpTarget(int slot)
    {
        var row = _rows[slot];
        if (!row.IsJump) return -1;
        return slot + 1 + (row.IsLongJump ? Instructions[slot].Immediate : Instructions[slot].Offset);
    }

    /// <summary>True for a jump backwards: what a metered program pays for.</summary>
    public bool IsBackEdge(int slot) => JumpTarget(slot) is var target && target >= 0 && target <= slot;

    /// <summary>True when control never goes to the next slot.</summary>
    public bool EndsPath(int slot) => _rows[slot].Operation is Operation.Exit or Operation.Jump || !IsReached(slot);

    public bool MayJump(int slot) => IsReached(slot) && (!_options.SkipDeadCode || !_rows[slot].IsConditionalJump || Facts(slot).MayJump);

    public bool FallsThrough(int slot) => !EndsPath(slot) && (!_options.SkipDeadCode || !_rows[slot].IsConditionalJump || Facts(slot).MayFallThrough);

    /// <summary>The function whose first slot this is.</summary>
    public int FunctionAt(int slot)
    {
        for (var i = 0; i < Functions.Length; i++)
        {
            if (Verified.Subprograms[i].Start == slot) return i;
        }
        throw new BpfException("UB3001", $"{Verified.Spec.Name}: no function starts at slot {slot}.", slot);
    }

    /// <summary>The subprogram a local call calls or a function address names.</summary>
    public int Callee(int slot) => FunctionAt(slot + 1 + Instructions[slot].Immediate);

    /// <summary>Registers an instruction reads, a bit each.</summary>
    public int Reads(int slot) => _rows[slot].Operation == Operation.CallSubprogram && IsReached(slot)
        ? Functions[Callee(slot)].LiveAtEntry | (1 << FrameRegister)
        : _reads[slot];

    /// <summary>Registers an instruction writes. Calls leave r1..r5 unreadable, which counts as writing them.</summary>
    public int Writes(int slot) => _writes[slot];

    private int ReadsOf(int slot)
    {
        var row = _rows[slot];
        ref readonly var instruction = ref Instructions.ItemRef(slot);
        var destination = 1 << instruction.Destination;
        var source = row.Source == OperandSource.Register ? 1 << instruction.Source : 0;
        return row.Operation switch
        {
            Operation.Move or Operation.MoveSignExtend or Operation.Load or Operation.LoadSignExtend or Operation.LoadAcquire => source,
            Operation.LoadImmediate64 or Operation.Jump or Operation.MayGoto or Operation.LoadPacketAbsolute => 0,
            Operation.LoadPacketIndirect => source,
            Operation.AtomicCompareExchange => destination | source | 1,
            Operation.Exit => 1,
            Operation.CallHelper or Operation.CallKfunc => FunctionReads(slot),
            Operation.CallRegister => destination | ArgumentMask(5),
            // What the callee reads: known once its graph is made.
            Operation.CallSubprogram => 0,
            _ => destination | source,
        };
    }

    private int WritesOf(int slot)
    {
        var row = _rows[slot];
        ref readonly var instruction = ref Instructions.ItemRef(slot);
        return row.Operation switch
        {
            >= Operation.Add and <= Operation.LoadSignExtend or Operation.LoadAcquire => 1 << instruction.Destination,
            >= Operation.AtomicFetchAdd and <= Operation.AtomicExchange => 1 << instruction.Source,
            Operation.AtomicCompareExchange or Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect => 1,
            _ when row.IsCall => 1,
            _ => 0,
        };
    }

    /// <summary>True for the call of bpf_tail_call, which engines do themselves.</summary>
    public bool IsTailCall(int slot) => (Prototype(slot)?.Traits & FunctionTraits.TailCall) == FunctionTraits.TailCall;

    /// <summary>The prototype of the helper or kfunc a call names, or null.</summary>
    public FunctionPrototype? Prototype(int slot) => Verified.Spec.Functions.Find(_rows[slot], Instructions[slot]);

    /// <summary>The code of the helper or kfunc a call names: the method for exactly its map where the map is known.</summary>
    /// <exception cref="BpfException">UB3002 when the registry has no code for it.</exception>
    public FunctionImplementation Implementation(int slot)
    {
        var prototype = Prototype(slot);
        var map = Facts(slot).Map;
        var found = prototype is null ? null
            : _options.DirectMapCalls && map >= 0 && TakesMap(prototype) && Verified.Spec.Maps[map].InnerMap is null ? Registry.Specialize(prototype, Verified.Spec.Maps[map])
            : Registry.Find(prototype);
        return found ?? throw new BpfException("UB3002",
            $"{Verified.Spec.Name}: the function registry has no code for {prototype?.Name ?? $"function {Instructions[slot].Immediate}"}. " +
            "Pass the registry whose prototypes the program was loaded with.", slot);
    }

    /// <summary>The helpers whose number may be in the register of a callx. The verifier refuses those that are called in a way
    /// of their own.</summary>
    public List<FunctionImplementation> RegisterCallees(int slot)
    {
        var functions = new List<FunctionImplementation>();
        ref readonly var facts = ref Facts(slot);
        foreach (var prototype in Verified.Spec.Functions.All)
        {
            if (prototype.Kind != FunctionKind.Helper || (prototype.Traits & (FunctionTraits.TailCall | FunctionTraits.CallsBack)) != 0) continue;
            if ((ulong)prototype.Id < facts.DestinationMin || (ulong)prototype.Id > facts.DestinationMax) continue;
            if (Registry.Find(prototype) is { } function) functions.Add(function);
        }
        return functions;
    }

    /// <summary>The map of a lookup that is emitted in place, or -1.</summary>
    public int InlinedArray(int slot)
    {
        if (!_options.InlineArrayLookups || _rows[slot].Operation != Operation.CallHelper || Prototype(slot) != HelperPrototypes.MapLookup) return -1;
        var map = Facts(slot).Map;
        return map >= 0 && Verified.Spec.Maps[map].Type == MapType.Array && Registry.Find(HelperPrototypes.MapLookup) == FunctionRegistry.BuiltIn.Find(HelperPrototypes.MapLookup) ? map : -1;
    }

    /// <summary>True when a function's calls of another are replaced by its code.</summary>
    public bool Inlines(int caller, int callee) => _inlines[caller] && _inlinable[callee];

    /// <summary>True for a function that is too long for one method.</summary>
    public bool IsSplit(int function) => _isSplit[function];

    // Small functions without loops, with everything they inline in turn. A loop is worth a call: alone it has all the registers to
    // itself (a text parser of 79 instructions takes 1.25 times as long inlined into a loop).
    private bool[] FindInlinable()
    {
        const int maxSlots = 80, maxInlinedSlots = 600;
        var own = new MethodSize[Functions.Length];
        for (var i = 0; i < own.Length; i++) own[i] = MethodSize.Of(this, Functions[i]);
        for (var i = 0; i < Functions.Length; i++) _isSplit[i] = !own[i].Fits(_options.RegionInstructions);
        var sizes = new int[Functions.Length];
        var inlinable = new bool[Functions.Length];
        for (var i = 0; i < sizes.Length; i++) sizes[i] = -1;
        var budget = maxInlinedSlots;
        for (var i = 0; i < Functions.Length; i++) Size(i);
        foreach (var caller in Functions)
        {
            foreach (var slot in Calls(caller))
            {
                var callee = Callee(slot);
                if (!inlinable[callee]) continue;
                budget -= sizes[callee];
                // Too many calls of it: keep it a function everywhere.
                if (budget < 0) inlinable[callee] = false;
            }
        }
        // A caller that has no room left for what it would inline calls it.
        for (var i = 0; i < Functions.Length; i++)
            _inlines[i] = _options.InlineSubprograms && !_isSplit[i] && WithInlined(i).Fits(_options.RegionInstructions + maxInlinedSlots);
        return inlinable;

        MethodSize WithInlined(int function)
        {
            var size = own[function];
            foreach (var slot in Calls(Functions[function]))
            {
                if (inlinable[Callee(slot)]) size += WithInlined(Callee(slot));
            }
            return size;
        }

        int Size(int function)
        {
            if (sizes[function] >= 0) return sizes[function];
            // A function that is reached again while it is measured calls itself.
            sizes[function] = int.MaxValue / 2;
            var size = Functions[function].Function.Length;
            foreach (var slot in Calls(Functions[function])) size = Math.Min(int.MaxValue / 2, size + Size(Callee(slot)));
            sizes[function] = size;
            inlinable[function] = size <= maxSlots && !NeedsFrameOrLoops(Functions[function]);
            return size;
        }

        List<int> Calls(FunctionGraph function)
        {
            var calls = new List<int>();
            for (var slot = function.Function.Start; slot < function.Function.End; slot += Slots(slot))
            {
                if (_rows[slot].Operation == Operation.CallSubprogram && IsReached(slot)) calls.Add(slot);
            }
            return calls;
        }

        // A tail call or packet load ends its function in a way that only a frame of its own can.
        bool NeedsFrameOrLoops(FunctionGraph function)
        {
            for (var slot = function.Function.Start; slot < function.Function.End; slot += Slots(slot))
            {
                if (_rows[slot].Operation is Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect || IsTailCall(slot) || IsBackEdge(slot)) return true;
            }
            return false;
        }
    }

    private static bool TakesMap(FunctionPrototype prototype) => prototype.Arguments.Any(argument => argument.Kind == ArgumentKind.Map);

    /// <summary>Bytes between where a program sees a context field and where the host has it; 0 for other accesses.</summary>
    public int ContextShift(int slot) => TranslatedField(slot) is { } field ? field.HostOffset - field.Offset : 0;

    /// <summary>True for the load of a 32-bit context field that is a 64-bit pointer in the host's layout.</summary>
    public bool IsTranslatedPointer(int slot) => TranslatedField(slot) is { Kind: ContextFieldKind.BufferStart or ContextFieldKind.BufferEnd };

    /// <summary>True for an access to the memory its address register says, with the size it says.</summary>
    public bool IsPlainAccess(int slot) => TranslatedField(slot) is null;

    // The context field an access is to, where the program's view is not the host's.
    private ContextField? TranslatedField(int slot)
    {
        var context = Verified.Type.Context;
        ref readonly var facts = ref Facts(slot);
        if (!_translates || facts.Region != RegionKind.Context) return null;
        if (facts.OffsetMin != facts.OffsetMax)
            throw new BpfException("UB3001", $"{Verified.Spec.Name}: a context access without a constant offset reached the compiler.", slot);
        return context.Find(facts.OffsetMin, _rows[slot].AccessBytes) is { IsTranslated: true } field ? field : null;
    }

    private int FunctionReads(int slot)
    {
        if (IsTailCall(slot)) return ArgumentMask(3);
        var function = Implementation(slot);
        var frame = (function.Prototype.Traits & FunctionTraits.CallsBack) != 0 ? 1 << FrameRegister : 0;
        return ArgumentMask(function.Arity) | frame;
    }

    private static int ArgumentMask(int arity) => ((1 << arity) - 1) << 1;
}
