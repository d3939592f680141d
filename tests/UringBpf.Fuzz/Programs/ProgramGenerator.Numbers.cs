using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Numbers: where they come from, what is done with them, how they get bounds.</summary>
public sealed partial class ProgramGenerator
{
    // Sets a register to a number nobody knows, or to a constant.
    private void FreshNumber(int register)
    {
        var source = Pick(held => held.Kind == HeldKind.Memory && held.Room >= 8 && held.Place != Place.Record);
        if (_random.OneIn(3) || source < 0)
        {
            if (_random.OneIn(3))
            {
                var wide = _random.OneIn(2) ? (long)_random.Next() : 1L << _random.Below(64);
                EmitWide(WideKind.Number, register, (int)wide, (int)(wide >> 32));
                _held[register] = Held.Number();
                return;
            }
            var value = Constant();
            Emit(s_moveImmediate64, register, immediate: value);
            _held[register] = Held.Number(value >= 0 ? value : -1);
            return;
        }
        LoadFrom(source, register);
    }

    private void Arithmetic()
    {
        var row = _random.Pick(s_arithmetic);
        var immediate = row.Source != OperandSource.Immediate ? 0 : row.Operation switch
        {
            Operation.ShiftLeft or Operation.ShiftRight or Operation.ShiftRightArithmetic => _random.Below(_careless ? row.Width + 1 : row.Width),
            Operation.Divide or Operation.Modulo or Operation.SignedDivide or Operation.SignedModulo when !_careless => Constant() is var divisor && divisor == 0 ? 1 : divisor,
            _ => Constant(),
        };
        var copies = row.Operation is Operation.Move or Operation.MoveSignExtend;
        var source = row.Source == OperandSource.Register ? Number() : 0;
        // Pointers can be copied too.
        if (row.Operation == Operation.Move && row.Width == 64 && row.Source == OperandSource.Register && _random.OneIn(3))
        {
            var pointer = Pick(held => held.Kind is HeldKind.Memory or HeldKind.MaybeNull or HeldKind.PacketEnd);
            if (pointer >= 0) source = pointer;
        }
        // Unknown counts are wanted, and so are those that stay within the width.
        if (row.Source == OperandSource.Register && row.Operation is Operation.ShiftLeft or Operation.ShiftRight or Operation.ShiftRightArithmetic && _random.OneIn(2))
        {
            var count = TargetBut(source);
            Emit(s_move64, count, source);
            Emit(Immediate(Operation.And, 64), count, immediate: _random.OneIn(2) ? row.Width - 1 : 7);
            _held[count] = Held.Number(row.Width - 1);
            source = count;
        }
        var destination = copies ? Target() : OwnNumber();
        Emit(row, destination, source, 0, immediate);
        if (row.Operation == Operation.Move && row.Source == OperandSource.Register && row.Width == 64) _held[destination] = _held[source];
        else if (row.Operation == Operation.Move && row.Source == OperandSource.Immediate) _held[destination] = Held.Number(immediate >= 0 ? immediate : -1);
        else if (row.Operation == Operation.And && row.Source == OperandSource.Immediate && immediate >= 0) _held[destination] = Held.Number(immediate);
        else if (row.Operation == Operation.ShiftRight && _held[destination].Max >= 0 && row.Width == 64) { }
        else _held[destination] = Held.Number();
    }

    // Gives a number bounds, in one of the ways programs do.
    private void Bound()
    {
        var register = OwnNumber();
        int[] bounds = [1, 3, 5, 7, 8, 15, 16, 23, 24, 31, 32, 39, 40, 47, 48, 55, 63];
        var most = _random.Pick(bounds);
        var way = _random.Below(_noExit ? 5 : 18);
        // Careless programs miss by one.
        var limit = _careless && _random.OneIn(6) ? most + 1 : most;
        switch (way)
        {
            case 0:
                Emit(Immediate(Operation.And, _random.OneIn(2) ? 32 : 64), register, immediate: limit);
                break;
            case 1:
                Emit(Immediate(Operation.Modulo, _random.OneIn(2) ? 32 : 64), register, immediate: limit + 1);
                break;
            case 2:
                {
                    var width = _random.OneIn(2) ? 32 : 64;
                    var bits = 1 + _random.Below(6);
                    Emit(Immediate(Operation.ShiftRight, width), register, immediate: width - bits);
                    most = (1 << bits) - 1;
                    break;
                }
            case 3:
                // Sign extension that changes nothing.
                Emit(Immediate(Operation.And, 64), register, immediate: limit);
                Emit(Row(Operation.MoveSignExtend, 64, _random.Pick([8, 16, 32]), OperandSource.Register), register, register);
                break;
            case 4:
                Emit(Immediate(Operation.ShiftLeft, 64), register, immediate: 60);
                Emit(Immediate(Operation.ShiftRight, 64), register, immediate: 60);
                most = 15;
                break;
            case 5:
                Demand(Operation.JumpLessOrEqual, 64, register, limit);
                break;
            case 6:
                Demand(Operation.JumpLess, 64, register, limit + 1);
                break;
            case 7:
                Emit(Register(Operation.Move, 32), register, register);
                Demand(Operation.JumpLessOrEqual, _random.OneIn(2) ? 32 : 64, register, limit);
                break;
            case 8:
                Demand(Operation.JumpLessOrEqual, 32, register, limit);
                Emit(Register(Operation.Move, 32), register, register);
                break;
            case 9:
                Demand(Operation.JumpSignedGreaterOrEqual, 64, register, 0);
                Demand(Operation.JumpSignedLessOrEqual, 64, register, limit);
                break;
            case 10:
                {
                    var below = 1 + _random.Below(8);
                    Demand(Operation.JumpSignedGreater, 64, register, -below - 1);
                    Demand(Operation.JumpSignedLess, 64, register, Math.Max(1, limit + 1 - below));
                    Emit(Immediate(Operation.Add, 64), register, immediate: below);
                    most = Math.Max(most, below);
                    break;
                }
            case 11:
                Emit(Row(Operation.MoveSignExtend, 64, _random.Pick([8, 16, 32]), OperandSource.Register), register, register);
                Demand(Operation.JumpSignedGreater, 32, register, -1);
                Demand(Operation.JumpSignedLessOrEqual, 64, register, limit);
                break;
            case 12:
                {
                    var bits = 1 + _random.Below(6);
                    most = (1 << bits) - 1;
                    // Leaves when one of the upper bits is set.
                    var jump = Emit(Immediate(Operation.JumpSet, 64), register, immediate: ~most);
                    var over = Jump();
                    Land(jump);
                    Leave();
                    Land(over);
                    break;
                }
            case 13:
                {
                    // A check of a copy, before or after it was made.
                    var copy = TargetBut(register);
                    Emit(s_move64, copy, register);
                    _held[copy] = Held.Number();
                    Demand(Operation.JumpLessOrEqual, 64, copy, limit);
                    break;
                }
            case 14:
                {
                    Emit(Store(64), 10, register, -8);
                    var other = TargetBut(register);
                    Demand(Operation.JumpLessOrEqual, 64, register, limit);
                    Emit(Load(64), other, 10, -8);
                    _held[other] = Held.Number(most);
                    break;
                }
            case 15:
                {
                    var other = Pick(held => held.Kind == HeldKind.Number && held.Max is > 0 and < 64);
                    if (other < 0 || other == register)
                    {
                        Demand(Operation.JumpLessOrEqual, 64, register, limit);
                        break;
                    }
                    most = (int)_held[other].Max - 1;
                    Demand(Operation.JumpLess, 64, register, other, byRegister: true);
                    break;
                }
            case 16:
                Emit(Immediate(Operation.Divide, 64), register, immediate: int.MaxValue);
                Demand(Operation.JumpLessOrEqual, 64, register, limit);
                break;
            default:
                // From both sides without a sign in it: a comparison that wraps.
                Emit(Immediate(Operation.Add, 64), register, immediate: -3);
                Demand(Operation.JumpLessOrEqual, 64, register, limit);
                Emit(Immediate(Operation.Xor, 32), register, immediate: 0);
                break;
        }
        _held[register] = Held.Number(most);
    }
}
