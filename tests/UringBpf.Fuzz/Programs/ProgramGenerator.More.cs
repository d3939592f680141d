using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>
/// Steps of programs that the kernel does not see: locks, tail calls, maps of other types, kfuncs of hooks, text, clocks.
/// </summary>
public sealed partial class ProgramGenerator
{
    private const int OperationBytes = 64;

    private static readonly ImmutableArray<FunctionPrototype> s_statuses =
        [.. KfuncPrototypes.All.Where(kfunc => (kfunc.Traits & FunctionTraits.NeedsRing) != 0 && kfunc.Returns == ReturnKind.Scalar && kfunc != KfuncPrototypes.Submit)];

    // What takes no arguments.
    private static readonly ImmutableArray<FunctionPrototype> s_questions = [.. HelperPrototypes.All.Where(helper => helper.Arguments.IsEmpty)];

    private void More()
    {
        if (_function == 0 && _type == ProgramTypes.Completion && _random.OneIn(3))
        {
            Kfunc();
            return;
        }
        switch (_random.Below(12))
        {
            case < 2: Locked(); break;
            case < 3: TailCall(); break;
            case < 5: QueueOperation(); break;
            case < 6: LookupInner(); break;
            case < 7: UpdateMore(); break;
            case < 8: LookupSlot(); break;
            case < 9: FlatField(); break;
            case < 11: Text(); break;
            default:
                Helper(_random.Pick(s_questions));
                break;
        }
    }

    // A number into an argument register: one from a register that arguments do not overwrite, or a constant.
    private void Argument(int register, int below)
    {
        int[] numbers = [.. new[] { 0, 6, 7, 8, 9 }.Where(other => _held[other].Kind == HeldKind.Number)];
        if (numbers.Length > 0 && _random.OneIn(2)) Emit(s_move64, register, _random.Pick(numbers));
        else Emit(s_moveImmediate64, register, immediate: _random.OneIn(4) ? Constant() : _random.Below(below));
    }

    // So many bytes of a function's numbers, of which all are written as a rule.
    private void Bytes(int register, int bytes) => StackAddress(register, -NumberBytes + _random.Below((NumberBytes - bytes) / 8 + 1) * 8);

    private void Map(int register, int map) => EmitWide(WideKind.MapIndex, register, map, 0);

    // What a lock guards is read and written under it.
    private void Locked()
    {
        if (_noExit || _loops > 1 || !HasKept(2)) return;
        Key(Scenery.Locked);
        StackAddress(2, KeySlot);
        Map(1, Scenery.Locked);
        Helper(HelperPrototypes.MapLookup);
        var jump = Emit(Immediate(Operation.JumpEqual, 64), 0);
        var before = Save();
        var locked = _locked;
        var value = KeptTarget();
        Emit(s_move64, value, 0);
        before.Registers[value] = default;
        _locked |= 1 << value;
        _held[value] = new Held { Kind = HeldKind.Memory, Place = Place.Map, Size = Scenery.LockOffset, Align = 8 };
        Lock(value, HelperPrototypes.SpinLockAcquire);
        _noExit = true;
        for (var steps = 1 + _random.Below(4); steps > 0; steps--)
        {
            switch (_random.Below(4))
            {
                case 0: Arithmetic(); break;
                case 1: Bound(); break;
                default: Access(value, _held[value], atEdge: _random.OneIn(3)); break;
            }
        }
        if (_careless && _random.OneIn(8)) Helper(HelperPrototypes.GetNumaNodeId);
        if (_careless && _random.OneIn(8)) Emit(Store(32), value, value, Scenery.LockOffset);
        _noExit = false;
        if (!_careless || !_random.OneIn(8)) Lock(value, HelperPrototypes.SpinLockRelease);
        _locked = locked;
        Land(jump);
        Merge(before);
    }

    private void Lock(int value, FunctionPrototype helper)
    {
        Emit(s_move64, 1, value);
        Emit(Immediate(Operation.Add, 64), 1, immediate: Scenery.LockOffset);
        Helper(helper);
    }

    private void TailCall()
    {
        if (_function > 0 || _noExit && !_careless) return;
        Argument(3, Scenery.TargetCount + 1);
        Map(2, Scenery.Targets);
        Emit(s_move64, 1, 6);
        Helper(HelperPrototypes.TailCall);
    }

    private void QueueOperation()
    {
        var map = _random.Pick([Scenery.Queue, Scenery.Stack, Scenery.Bloom]);
        var helper = _random.Pick([HelperPrototypes.MapPush, HelperPrototypes.MapPop, HelperPrototypes.MapPeek]);
        if (map == Scenery.Bloom && helper == HelperPrototypes.MapPop) helper = HelperPrototypes.MapPush;
        Bytes(2, Scenery.Maps[map].ValueSize);
        Map(1, map);
        if (helper == HelperPrototypes.MapPush) Argument(3, 3);
        Helper(helper);
    }

    // A value of a map that is itself looked up.
    private void LookupInner()
    {
        var outer = _random.Pick([Scenery.Outer, Scenery.OuterTable]);
        Key(outer);
        StackAddress(2, KeySlot);
        Map(1, outer);
        Helper(HelperPrototypes.MapLookup);
        var none = Emit(Immediate(Operation.JumpEqual, 64), 0);
        Emit(s_move64, 1, 0);
        Emit(StoreImmediate(32), 10, 0, KeySlot, _random.Below(Scenery.Inner.MaxEntries + 1));
        StackAddress(2, KeySlot);
        if (_random.OneIn(4))
        {
            Bytes(3, Scenery.InnerBytes);
            Emit(s_moveImmediate64, 4);
            Helper(HelperPrototypes.MapUpdate);
            _held[0] = default;
            Land(none);
            return;
        }
        Helper(HelperPrototypes.MapLookup);
        var before = Save();
        Found(new Held { Kind = HeldKind.MaybeNull, Place = Place.Map, Size = Scenery.InnerBytes, Align = 8, Origin = ++_origins });
        Land(none);
        Merge(before);
    }

    private void UpdateMore()
    {
        var map = _random.Pick(Scenery.MoreKeyed);
        Key(map);
        StackAddress(2, KeySlot);
        if (_random.OneIn(4))
        {
            Map(1, map);
            Helper(HelperPrototypes.MapDelete);
            return;
        }
        Bytes(3, Scenery.Maps[map].ValueSize);
        Map(1, map);
        Argument(4, 3);
        Helper(HelperPrototypes.MapUpdate);
    }

    // Another slot's value of a per-CPU map.
    private void LookupSlot()
    {
        var map = _random.Pick([Scenery.Slots, Scenery.SlotTable, Scenery.RecentSlots]);
        Key(map);
        Argument(3, 20);
        StackAddress(2, KeySlot);
        Map(1, map);
        Helper(HelperPrototypes.MapLookupPerCpu);
        Found(new Held { Kind = HeldKind.MaybeNull, Place = Place.Map, Size = Scenery.Maps[map].ValueSize, Align = 8, Origin = ++_origins });
    }

    // Memory inside a context struct: a hook's scratch, which it may write, a path, which it may not.
    private void FlatField()
    {
        var context = Pick(held => held.Kind == HeldKind.Context);
        if (context < 0 || _type.Context.Fields.FirstOrDefault(field => field.Kind == ContextFieldKind.FlatMemory) is not { } field)
        {
            Text();
            return;
        }
        var target = TargetBut(context);
        Emit(s_move64, target, context);
        Emit(Immediate(Operation.Add, 64), target, immediate: (int)field.Offset);
        var writable = field.Access == FieldAccess.ReadWrite;
        _held[target] = new Held { Kind = HeldKind.Memory, Place = writable ? Place.Host : Place.Constant, Size = Math.Min(field.Size, NumberBytes), Align = 8 };
        Access(target, _held[target], atEdge: _random.OneIn(3));
    }

    private void Kfunc()
    {
        switch (_random.Below(4))
        {
            case 0:
                // All of the operation, or what is bounded, or a byte too much.
                if (Pick(held => held.Kind == HeldKind.Number && held.Max is > 0 and < OperationBytes) is >= 0 and var number && _random.OneIn(2))
                {
                    Emit(s_move64, 3, number);
                    Emit(Immediate(Operation.Or, 64), 3, immediate: 1);
                }
                else
                {
                    Emit(s_moveImmediate64, 3, immediate: _careless && _random.OneIn(6) ? OperationBytes + 8 : _random.OneIn(2) ? OperationBytes : 1 + _random.Below(OperationBytes));
                }
                StackAddress(2, -OperationBytes);
                Emit(s_move64, 1, 6);
                Call(KfuncPrototypes.Submit);
                break;
            case 1:
                {
                    var size = 8 * (1 + _random.Below(8));
                    Argument(2, 4);
                    Argument(3, 64);
                    Emit(s_moveImmediate64, 4, immediate: size);
                    Emit(s_move64, 1, 6);
                    Call(KfuncPrototypes.Buffer);
                    Found(new Held { Kind = HeldKind.MaybeNull, Place = Place.Host, Size = size, Align = 1, Origin = ++_origins });
                    break;
                }
            default:
                {
                    var kfunc = _random.Pick(s_statuses);
                    for (var argument = 2; argument <= kfunc.Arguments.Length; argument++) Argument(argument, 40);
                    Emit(s_move64, 1, 6);
                    Call(kfunc);
                    break;
                }
        }
    }

    private void Call(FunctionPrototype kfunc)
    {
        Emit(Row(Operation.CallKfunc, 64, 0, OperandSource.Immediate), immediate: kfunc.Id);
        Called();
        if (kfunc.Returns == ReturnKind.Scalar) _held[0] = Held.Number();
    }

    private void Word(int register) => EmitWide(WideKind.MapValueIndex, register, Scenery.Texts, _random.Pick(Scenery.WordOffsets));

    private void Text()
    {
        switch (_random.Below(9))
        {
            case 0:
                {
                    var bytes = 1 + _random.Below(16);
                    if (_random.OneIn(2)) Word(1);
                    else Bytes(1, 16);
                    Emit(s_moveImmediate64, 2, immediate: _random.OneIn(2) ? 1 : bytes);
                    Emit(s_moveImmediate64, 3, immediate: _random.Pick([0, 8, 10, 16, 7]));
                    Bytes(4, 8);
                    Helper(_random.OneIn(2) ? HelperPrototypes.Strtol : HelperPrototypes.Strtoul);
                    break;
                }
            case 1:
                Bytes(1, 32);
                Emit(s_moveImmediate64, 2, immediate: 1 + _random.Below(32));
                Word(3);
                Helper(HelperPrototypes.Strncmp);
                break;
            case 2:
                Bytes(1, 32);
                Emit(s_moveImmediate64, 2, immediate: _random.Below(33));
                Word(3);
                Bytes(4, 24);
                Emit(s_moveImmediate64, 5, immediate: 8 * _random.Below(4));
                Helper(HelperPrototypes.Snprintf);
                break;
            case 3:
                if (Pick(held => held.Kind == HeldKind.Number && held.Max is >= 0 and <= 32) is >= 0 and var number && _random.OneIn(2)) Emit(s_move64, 3, number);
                else Emit(s_moveImmediate64, 3, immediate: _random.Below(33));
                Bytes(2, 32);
                Map(1, Scenery.Ring);
                Emit(s_moveImmediate64, 4, immediate: _random.Below(3));
                Helper(HelperPrototypes.RingbufOutput);
                break;
            case 4:
                Map(1, Scenery.Ring);
                Argument(2, 5);
                Helper(HelperPrototypes.RingbufQuery);
                break;
            case 5:
                if (_type != ProgramTypes.Xdp || _function > 0) return;
                if (_random.OneIn(3))
                {
                    Emit(s_move64, 1, 6);
                    Helper(HelperPrototypes.XdpGetBuffLen);
                    break;
                }
                // The packet's pointers stay what they are.
                Argument(2, 20);
                Bytes(3, 32);
                Emit(s_moveImmediate64, 4, immediate: 1 + _random.Below(32));
                Emit(s_move64, 1, 6);
                Helper(HelperPrototypes.XdpStoreBytes);
                break;
            case 6:
                Bytes(1, 16);
                Emit(s_moveImmediate64, 2, immediate: 1 + _random.Below(16));
                Helper(HelperPrototypes.GetCurrentComm);
                break;
            case 7:
                Word(1);
                Emit(s_moveImmediate64, 2, immediate: 1 + _random.Below(7));
                for (var argument = 3; argument <= 5; argument++) Argument(argument, 100);
                Helper(HelperPrototypes.TracePrintk);
                break;
            default:
                Word(1);
                Emit(s_moveImmediate64, 2, immediate: 1 + _random.Below(7));
                Bytes(3, 24);
                Emit(s_moveImmediate64, 4, immediate: 8 * _random.Below(4));
                Helper(HelperPrototypes.TraceVprintk);
                break;
        }
    }
}
