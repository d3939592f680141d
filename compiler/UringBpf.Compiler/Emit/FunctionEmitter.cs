using System.Reflection;
using System.Reflection.Emit;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// Translates one function: walks its instructions in order and writes IL for each. The parts by opcode family are in
/// FunctionEmitter.*.cs. One body serves every <see cref="CodeTarget"/>.
/// </summary>
internal sealed partial class FunctionEmitter
{
    private const int FrameRegister = 10;

    private readonly ProgramGraph _program;
    private readonly FunctionGraph _function;
    private readonly List<BasicBlock> _blocks;
    private readonly CodeTarget _target;
    private readonly CompilerOptions _options;
    private readonly ILGenerator _il;
    private readonly RegisterAssignment _registers;
    private readonly LocalBuilder?[] _locals;
    // By place among the blocks: they are consecutive ones of their function.
    private readonly Label[] _labels;
    private readonly StackSlots _stackSlots;
    private readonly RegionStack? _regionStack;
    private readonly Dictionary<int, LocalBuilder> _stackLocals = [];
    // Blocks that branch plans emit in their predecessor's place.
    private readonly HashSet<BasicBlock> _absorbed = [];
    // Blocks whose last jump needs no test any more, and whether it jumps.
    private readonly Dictionary<BasicBlock, bool> _decided = [];
    // What is being written, and where in it.
    private IReadOnlyList<BasicBlock> _order = [];
    private int _place;
    private readonly FunctionFrame _frame;
    private readonly bool _metered;
    private BasicBlock _block;
    private int _slot;

    /// <summary>Prepares to write a function, or the blocks of one region of it with the stack slots that are locals there.</summary>
    public FunctionEmitter(ProgramGraph program, FunctionGraph function, CodeTarget target, CompilerOptions options, FunctionFrame frame, List<BasicBlock>? region = null, RegionStack? stack = null)
    {
        _program = program;
        _function = function;
        _blocks = region ?? function.Blocks;
        _block = _blocks[0];
        _target = target;
        _options = options;
        _il = target.Generator;
        _frame = frame;
        _metered = program.Verified.Termination == Termination.Metered;
        _registers = options.SplitLiveRanges ? RegisterAssignment.Split(program, _blocks, options.NarrowRegisters) : RegisterAssignment.Straight();
        _labels = new Label[_blocks.Count];
        _locals = new LocalBuilder?[_registers.Count];
        _stackSlots = !options.StackSlotsInLocals ? StackSlots.None : region is null ? StackSlots.Find(program, function, _registers) : stack?.Slots ?? StackSlots.None;
        _regionStack = stack;
    }

    /// <summary>Writes the whole function, entry and return included.</summary>
    public void Emit()
    {
        for (var i = 0; i < _labels.Length; i++) _labels[i] = _il.DefineLabel();
        FindLoops();
        FindRepeatedLoops();
        _frame.EmitEntry(this);
        EmitBlocks(_blocks);
        EmitSecondCopies();
        _frame.EmitEnd(this);
    }

    /// <summary>The blocks it writes.</summary>
    public IReadOnlyList<BasicBlock> Blocks => _blocks;

    /// <summary>Where one of the blocks is entered from outside.</summary>
    public Label LabelOf(BasicBlock block) => _loops.TryGetValue(block, out var loop) ? loop.Before : OwnLabel(block);

    // Where the block itself is, behind what runs on vectors before it.
    private Label OwnLabel(BasicBlock block) => _copy is not null && _copy.Labels.TryGetValue(block, out var label) ? label : _labels[block.Index - _blocks[0].Index];

    private bool IsHere(BasicBlock block) => (uint)(block.Index - _blocks[0].Index) < (uint)_blocks.Count;

    /// <summary>Pushes the value a register has at the end of a block, as int64.</summary>
    public void LoadAtEnd(BasicBlock block, int register)
    {
        var web = _registers.AtEnd(block, register);
        if (web < 0)
        {
            LoadConstant(0, 64);
            return;
        }
        _il.Emit(OpCodes.Ldloc, Local(web));
        if (_registers.Narrow[web]) _il.Emit(OpCodes.Conv_U8);
    }

    /// <summary>Where the IL goes.</summary>
    public ILGenerator IL => _il;

    /// <summary>True when the function or what it calls needs r10.</summary>
    public bool UsesStack
    {
        get
        {
            for (var slot = _blocks[0].Start; slot < _blocks[^1].End; slot++)
            {
                if (_program.HasRow(slot) && (_program.Reads(slot) >> FrameRegister & 1) != 0) return true;
            }
            return false;
        }
    }

    /// <summary>Pops the int64 a register has when a block is entered from outside.</summary>
    public void StoreAtStart(BasicBlock block, int register)
    {
        var web = _registers.AtStart(block, register);
        if (web < 0)
        {
            _il.Emit(OpCodes.Pop);
            return;
        }
        if (_registers.Narrow[web]) _il.Emit(OpCodes.Conv_U4);
        _il.Emit(OpCodes.Stloc, Local(web));
    }

    private void EmitBlocks(IReadOnlyList<BasicBlock> blocks)
    {
        _order = blocks;
        for (_place = 0; _place < blocks.Count; _place++) EmitBlock(blocks[_place]);
    }

    private void EmitBlock(BasicBlock block)
    {
        if (_absorbed.Contains(block)) return;
        _target.BeginInstruction(block.Start);
        if (_loops.TryGetValue(block, out var loop))
        {
            _il.MarkLabel(loop.Before);
            EmitVectorRounds(loop.Plan);
        }
        _il.MarkLabel(OwnLabel(block));
        if (!EmitBody(block)) return;
        if (!_program.FallsThrough(block.Last)) return;
        // A function's last instruction that falls through would leave it: the verifier refuses that.
        if (block.End >= _function.Function.End) EmitReturnZero();
        else GoOn(block, block.End);
    }

    // Writes a block's instructions; false when what comes after them is written too.
    private bool EmitBody(BasicBlock block)
    {
        for (var slot = block.Start; slot < block.End; slot += _program.Slots(slot))
        {
            _slot = slot;
            _block = block;
            _target.BeginInstruction(slot);
            if (!_program.IsReached(slot))
            {
                // No path leads here, but IL that falls through to the next label must still be well formed.
                EmitReturnZero();
                return false;
            }
            if (_options.RecordSites) EmitSite(block);
            if (slot == block.Last && TryEmitBranch(block)) return false;
            if (TryEmitSequence(block, slot) is > 0 and var end)
            {
                // On from its last instruction: none of them takes two slots.
                slot = end - 1;
                continue;
            }
            _slot = slot;
            EmitInstruction(_program.Row(slot), _program.Instructions[slot]);
        }
        return true;
    }

    // Goes on at a block of the function, which may be what is written next.
    private void GoOn(BasicBlock from, int slot)
    {
        var target = Target(from, slot);
        var next = _place + 1;
        while (next < _order.Count && _absorbed.Contains(_order[next])) next++;
        if (next < _order.Count && LabelHere(_order[next]) == target) return;
        if (!TryEmitLoopEnd(slot)) _il.Emit(OpCodes.Br, target);
    }

    // Calls, and where a block ends. An end that several paths share says nothing about which was taken: they have said it.
    private void EmitSite(BasicBlock block)
    {
        var operation = _program.Row(_slot).Operation;
        if (operation == Operation.Exit && block.Predecessors.Count > 1) return;
        if (_slot != block.Last && operation is not (Operation.CallHelper or Operation.CallKfunc)) return;
        _frame.LoadState(this);
        LoadConstant(_slot, 32);
        _il.Emit(OpCodes.Stfld, StateField(nameof(ExecutionState.Site)));
    }

    // The label of a slot that a block goes to; for one outside the region the way out to it.
    private Label Target(BasicBlock from, int slot)
    {
        var to = _function.BlockAt(slot);
        if (!IsHere(to)) return _frame.ExitTo(this, from, to);
        if (OtherCopy(from, to) is { } copy) return copy;
        var entersLoop = _loops.TryGetValue(to, out var loop) && from != loop.Plan.Header && from != loop.Plan.Latch;
        return entersLoop ? loop!.Before : OwnLabel(to);
    }

    private void EmitInstruction(OpcodeRow row, in Instruction instruction)
    {
        switch (row.Operation)
        {
            case >= Operation.Add and <= Operation.ByteSwap: EmitArithmetic(row, instruction); break;
            case >= Operation.LoadImmediate64 and <= Operation.Store: EmitMemory(row, instruction); break;
            case >= Operation.AtomicAdd and <= Operation.StoreRelease: EmitAtomic(row, instruction); break;
            case Operation.LoadPacketAbsolute or Operation.LoadPacketIndirect: EmitPacketLoad(row, instruction); break;
            case >= Operation.Jump and <= Operation.MayGoto: EmitJump(row, instruction); break;
            case >= Operation.CallHelper and <= Operation.CallRegister: EmitCall(row, instruction); break;
            case Operation.Exit:
                Load64(0);
                _frame.EmitReturn(this);
                break;
            default:
                throw new BpfException("UB3001", $"{_program.Verified.Spec.Name}: no code for {row.Operation}.", _slot);
        }
    }

    // Registers. "64" leaves or takes an int64, "32" an int32 that stands for its zero extension.

    private void Load64(int register)
    {
        if (register == FrameRegister)
        {
            _frame.LoadStackTop(this);
            return;
        }
        var web = _registers.Use(_slot, register);
        _il.Emit(OpCodes.Ldloc, Local(web));
        if (_registers.Narrow[web]) _il.Emit(OpCodes.Conv_U8);
    }

    private void Load32(int register)
    {
        if (register == FrameRegister)
        {
            _frame.LoadStackTop(this);
            _il.Emit(OpCodes.Conv_U4);
            return;
        }
        var web = _registers.Use(_slot, register);
        _il.Emit(OpCodes.Ldloc, Local(web));
        if (!_registers.Narrow[web]) _il.Emit(OpCodes.Conv_U4);
    }

    private void Store64(int register)
    {
        var web = _registers.Definition(_slot, register);
        if (_registers.Narrow[web]) _il.Emit(OpCodes.Conv_U4);
        _il.Emit(OpCodes.Stloc, Local(web));
    }

    private void Store32(int register)
    {
        var web = _registers.Definition(_slot, register);
        if (!_registers.Narrow[web]) _il.Emit(OpCodes.Conv_U8);
        _il.Emit(OpCodes.Stloc, Local(web));
    }

    // Pushes the second operand at the operation's width.
    private void LoadOperand(OpcodeRow row, in Instruction instruction, int width)
    {
        if (row.Source == OperandSource.Immediate) LoadConstant(instruction.Immediate, width);
        else if (width == 64) Load64(instruction.Source);
        else Load32(instruction.Source);
    }

    private void LoadConstant(long value, int width)
    {
        if (width == 32)
        {
            _il.Emit(OpCodes.Ldc_I4, (int)value);
        }
        else if (value is >= int.MinValue and <= int.MaxValue)
        {
            _il.Emit(OpCodes.Ldc_I4, (int)value);
            _il.Emit(OpCodes.Conv_I8);
        }
        else
        {
            _il.Emit(OpCodes.Ldc_I8, value);
        }
    }

    private LocalBuilder Local(int web)
    {
        if (_locals[web] is { } known) return known;
        var local = _locals[web] = _il.DeclareLocal(_registers.Narrow[web] ? typeof(uint) : typeof(ulong));
        if (_target.NamesLocals) _target.NameLocal(local, _registers.Name(web));
        return local;
    }

    private void LoadState(string field)
    {
        _frame.LoadState(this);
        _il.Emit(OpCodes.Ldfld, StateField(field));
    }

    private void CallSupport(string name) => _il.EmitCall(OpCodes.Call, s_support[name], null);

    private static FieldInfo StateField(string name) => s_stateFields[name];

    private static readonly Dictionary<string, FieldInfo> s_stateFields = typeof(ExecutionState).GetFields().ToDictionary(f => f.Name);

    private static readonly Dictionary<string, MethodInfo> s_support =
        typeof(CompiledCode).GetMethods(BindingFlags.Public | BindingFlags.Static).ToDictionary(m => m.Name);

    private void EmitReturnZero()
    {
        LoadConstant(0, 64);
        _frame.EmitReturn(this);
    }
}
